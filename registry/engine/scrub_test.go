package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
)

// TestScrub finds what has rotted, a push heals it, and the next scrub begins when it is time.
func TestScrub(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		image := registrytest.Recipe{Seed: 1}.Image()
		want(t, "push", s.push(ctx, "a", image), nil)
		rotten := image.Blobs[1]
		rot(t, s.store, keyOf(t, s.store, rotten))
		opts := engine.ScrubOptions{Every: time.Hour, Rate: 100 << 20}
		wantScrub := func(losses int) engine.Scrub {
			t.Helper()
			want(t, "Scrub", s.Scrub(ctx, opts), nil)
			state, err := s.ScrubState(ctx)
			want(t, "ScrubState", err, nil)
			if state.Losses != losses || state.Blobs != 3 || state.Ended.IsZero() || state.Bytes == 0 {
				t.Errorf("the state is %+v, want %d losses", state, losses)
			}
			return state
		}
		first := wantScrub(1)
		_, err := s.StatBlob(ctx, "a", rotten.Digest)
		want(t, "StatBlob", err, registry.ErrBlobUnknown)
		want(t, "push", s.push(ctx, "a", image), nil)
		want(t, "the image", s.whole("a", image), nil)
		if again := wantScrub(1); again.Began != first.Began {
			t.Errorf("it was scrubbed again within the hour")
		}
		s.clock.advance(2 * time.Hour)
		wantScrub(0)
	})
}

// TestScrubGoesOn where it was interrupted.
func TestScrubGoesOn(t *testing.T) {
	s := newSite(t, "", open, mem.New())
	for n := range 120 {
		b := registrytest.NewBlob(uint64(n), 20_000)
		_, err := s.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	opts := engine.ScrubOptions{Every: time.Hour, Rate: 1 << 30}
	opts.Observe = func(int64, int) { cancel() }
	if err := s.Scrub(ctx, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("the interrupted scrub: %v", err)
	}
	state, err := s.ScrubState(t.Context())
	want(t, "ScrubState", err, nil)
	if state.Blobs != 50 || !state.Ended.IsZero() {
		t.Errorf("after the interruption: %+v", state)
	}
	var read int64
	opts.Observe = func(bytes int64, _ int) { read += bytes }
	want(t, "Scrub", s.Scrub(t.Context(), opts), nil)
	if read != 70*20_000 {
		t.Errorf("%d bytes were read afterwards", read)
	}
}

// TestScrubIsSlow reads no faster than it may.
func TestScrubIsSlow(t *testing.T) {
	s := newSite(t, "", open, mem.New())
	b := registrytest.NewBlob(1, 150_000)
	_, err := s.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)
	began := time.Now()
	want(t, "Scrub", s.Scrub(t.Context(), engine.ScrubOptions{Every: time.Hour, Rate: 100_000}), nil)
	if took := time.Since(began); took < 400*time.Millisecond { // the first 100,000 bytes are free
		t.Errorf("150,000 bytes at 100,000 a second took %s", took)
	}
}

// rot changes a byte of an object.
func rot(t *testing.T, s blob.Store, key blob.Key) {
	t.Helper()
	size, err := s.Size(t.Context(), key)
	want(t, "Size", err, nil)
	want(t, "Delete", s.Delete(t.Context(), key), nil)
	w, err := s.Create(t.Context(), key)
	want(t, "Create", err, nil)
	_, err = w.Write(make([]byte, size))
	want(t, "Write", err, nil)
	want(t, "Commit", w.Commit(t.Context()), nil)
}
