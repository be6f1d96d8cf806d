package engine_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
)

// swept is a store of which unfinished objects can be listed alone.
type swept struct{ blob.Store }

func (s swept) Unfinished(ctx context.Context) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		for o, err := range s.All(ctx) {
			if (err != nil || !o.Committed) && !yield(o, err) {
				return
			}
		}
	}
}

// TestExpiryFindsStrays leaves what a server begins and does not live to note: of an
// upload that another server has ended since, and of one that can still go on.
func TestExpiryFindsStrays(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	s := swept{mem.New()}
	e := engine.New(openDB(t), s, open)
	stray, err := s.Create(t.Context(), blob.NewKey())
	want(t, "Create", err, nil)
	_, err = stray.Write(make([]byte, 50_000))
	want(t, "Write", err, nil)
	_, err = stray.Suspend(t.Context())
	want(t, "Suspend", err, nil)
	u, err := e.StartUpload(t.Context(), "a", b.Digest.Algorithm())
	want(t, "StartUpload", err, nil)
	_, err = e.AppendUpload(t.Context(), "a", u.ID, b.Part(0, 50_000))
	want(t, "AppendUpload", err, nil)

	unfinished := func() (n int) {
		for range s.Unfinished(t.Context()) {
			n++
		}
		return n
	}
	expire := func(before time.Time) {
		err := e.ExpireUploads(t.Context(), before, false, func(x engine.Expired) { t.Errorf("%s has expired", x.ID) })
		want(t, "ExpireUploads", err, nil)
	}
	if expire(time.Now().Add(-time.Minute)); unfinished() != 2 {
		t.Error("what may just have begun was removed")
	}
	_, err = e.FinishUpload(t.Context(), "a", u.ID, b.Part(50_000, 100_000), b.Digest)
	want(t, "FinishUpload", err, nil)
	wantOnly(t, e, s, b)
	_, err = e.StatBlob(t.Context(), "a", b.Digest)
	want(t, "StatBlob", err, nil)
}
