package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
)

// refusing is a store in which no object can be ended.
type refusing struct {
	blob.Store
	err error
}

func (s refusing) Create(ctx context.Context, key blob.Key) (blob.Writer, error) {
	w, err := s.Store.Create(ctx, key)
	return refusingWriter{w, s.err}, err
}

type refusingWriter struct {
	blob.Writer
	err error
}

func (w refusingWriter) Commit(context.Context) error {
	w.Close()
	return w.err
}

// TestPutBlobThatCannotEnd is told to try again, and nothing of an upload of which it
// has never heard.
func TestPutBlobThatCannotEnd(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	for _, cause := range []error{blob.ErrLost, blob.ErrUnavailable, context.DeadlineExceeded} {
		e := engine.New(openDB(t), refusing{mem.New(), fmt.Errorf("what the store says: %w", cause)}, open)
		_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, fmt.Sprintf("PutBlob after %v", cause), err, registry.ErrUnavailable)
		if errors.Is(err, registry.ErrUploadUnknown) {
			t.Errorf("PutBlob after %v tells of an upload: %v", cause, err)
		}
	}
}
