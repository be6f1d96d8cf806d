package engine_test

import (
	"context"
	"errors"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
)

// vanishing is a store whose unfinished objects go while they are written, as when
// another server cancels their upload.
type vanishing struct {
	blob.Store
	inWrite bool // found out by Write, else by Suspend
}

func (s vanishing) Create(ctx context.Context, key blob.Key) (blob.Writer, error) {
	w, err := s.Store.Create(ctx, key)
	return vanishingWriter{w, s.inWrite}, err
}

type vanishingWriter struct {
	blob.Writer
	inWrite bool
}

func (w vanishingWriter) Write(p []byte) (int, error) {
	if w.inWrite && len(p) > 0 {
		return 0, blob.ErrLost
	}
	return w.Writer.Write(p)
}

func (w vanishingWriter) Suspend(context.Context) ([]byte, error) {
	return nil, errors.Join(blob.ErrLost, w.Close())
}

// TestUploadGoesWhileItIsWritten has the client begin anew.
func TestUploadGoesWhileItIsWritten(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	for _, inWrite := range []bool{false, true} {
		e := engine.New(openDB(t), vanishing{mem.New(), inWrite}, open)
		u, err := e.StartUpload(t.Context(), "a", b.Digest.Algorithm())
		want(t, "StartUpload", err, nil)
		_, err = e.AppendUpload(t.Context(), "a", u.ID, b.Part(0, 50_000))
		want(t, "AppendUpload", err, registry.ErrUploadUnknown)
		_, err = e.Upload(t.Context(), "a", u.ID)
		want(t, "Upload", err, registry.ErrUploadUnknown)
	}
}
