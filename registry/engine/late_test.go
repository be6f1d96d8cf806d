package engine_test

import (
	"context"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
)

// late is a store that hears of an object only when it is whole, as a bucket of small
// ones, and after a pause.
type late struct {
	blob.Store
	pause func()
}

func (s *late) Create(_ context.Context, key blob.Key) (blob.Writer, error) {
	return &lateWriter{store: s, key: key}, nil
}

type lateWriter struct {
	blob.Writer
	store *late
	key   blob.Key
	bytes []byte
}

func (w *lateWriter) Write(p []byte) (int, error) {
	w.bytes = append(w.bytes, p...)
	return len(p), nil
}

func (w *lateWriter) Commit(ctx context.Context) error {
	w.store.pause()
	writer, err := w.store.Store.Create(ctx, w.key)
	if err != nil {
		return err
	}
	if _, err := writer.Write(w.bytes); err != nil {
		return err
	}
	return writer.Commit(ctx)
}

func (w *lateWriter) Close() error { return nil }

// TestServerStandsStill has a server pause before it makes an object, while another ends
// the upload. Nothing may stay behind, and nothing be lost.
func TestServerStandsStill(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	for name, end := range map[string]func(*engine.Engine, registry.UploadID) error{
		"cancelled": func(e *engine.Engine, id registry.UploadID) error { return e.CancelUpload(t.Context(), "a", id) },
		"finished": func(e *engine.Engine, id registry.UploadID) error {
			_, err := e.FinishUpload(t.Context(), "a", id, b.Chunk(), b.Digest)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := openPostgres(t), mem.New()
			other := engine.New(db, &late{s, func() {}}, open)
			var id registry.UploadID
			e := engine.New(db, &late{s, func() { want(t, "the other server", end(other, id), nil) }}, open)
			u, err := e.StartUpload(t.Context(), "a", b.Digest.Algorithm())
			want(t, "StartUpload", err, nil)
			id = u.ID
			_, err = e.FinishUpload(t.Context(), "a", id, b.Chunk(), b.Digest)
			want(t, "FinishUpload", err, registry.ErrUploadUnknown)
			if name == "finished" {
				wantOnly(t, other, s, b)
				return
			}
			for o := range s.All(t.Context()) {
				t.Errorf("an object stays behind: %+v", o)
			}
		})
	}
}
