package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
)

// choosy is a store that cannot discard some of its objects.
type choosy struct {
	blob.Store
	refused map[blob.Key]error
}

func (s choosy) Discard(ctx context.Context, key blob.Key, state []byte) error {
	if err := s.refused[key]; err != nil {
		return err
	}
	return s.Store.Discard(ctx, key, state)
}

// TestExpiryGoesOn has one upload of several that cannot be removed, as after a change of
// the store. The others are removed all the same.
func TestExpiryGoesOn(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	s := choosy{mem.New(), map[blob.Key]error{}}
	e := engine.New(openDB(t), s, open)
	for range 5 {
		u, err := e.StartUpload(t.Context(), "a", b.Digest.Algorithm())
		want(t, "StartUpload", err, nil)
		_, err = e.AppendUpload(t.Context(), "a", u.ID, b.Part(0, 50_000))
		want(t, "AppendUpload", err, nil)
	}
	broken := errors.New("this is not the state of an object")
	for o, err := range s.All(t.Context()) {
		want(t, "All", err, nil)
		s.refused[o.Key] = broken
		break
	}
	later := time.Now().Add(time.Minute)
	var gone int
	err := e.ExpireUploads(t.Context(), later, false, func(engine.Expired) { gone++ })
	want(t, "ExpireUploads", err, broken)
	if gone != 4 {
		t.Errorf("%d uploads are removed, want all but the one that cannot be", gone)
	}
	clear(s.refused)
	err = e.ExpireUploads(t.Context(), later, false, func(engine.Expired) { gone++ })
	want(t, "ExpireUploads", err, nil)
	if gone != 5 {
		t.Errorf("%d uploads are removed in the end", gone)
	}
}
