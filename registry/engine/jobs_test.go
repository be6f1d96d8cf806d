package engine_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
	"berth/storage/queue"
)

// stubborn is a store that deletes nothing, and whose objects are all old.
type stubborn struct {
	blob.Store
	yields bool
}

func (s *stubborn) Delete(ctx context.Context, key blob.Key) error {
	if s.yields {
		return s.Store.Delete(ctx, key)
	}
	return errors.New("access denied")
}

func (s *stubborn) All(ctx context.Context) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		for o, err := range s.Store.All(ctx) {
			o.ChangedAt = o.ChangedAt.Add(-24 * time.Hour)
			if !yield(o, err) {
				return
			}
		}
	}
}

// TestDamagedObjectGoes: what a healed blob leaves behind is removed, in the end, and
// nobody takes it for an orphan meanwhile.
func TestDamagedObjectGoes(t *testing.T) {
	ctx := t.Context()
	db, s := openDB(t), &stubborn{Store: mem.New()}
	e := engine.New(db, s, open)
	b := registrytest.NewBlob(1, 100_000)
	_, err := e.PutBlob(ctx, "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)
	damage(t, s.Store, keyOf(t, s, b))
	_, err = e.PutBlob(ctx, "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)

	w := queue.NewWorker(db, e.Jobs(), queue.Options{Backoff: func(int) time.Duration { return time.Hour }})
	want(t, "RunDue", w.RunDue(ctx), nil)
	waiting, err := db.Jobs(ctx, queue.Filter{State: queue.Waiting}, 0, 10)
	want(t, "Jobs", err, nil)
	if len(waiting) != 1 || waiting[0].Reason != "access denied" || waiting[0].Attempts != 1 {
		t.Fatalf("got %+v", waiting)
	}
	count := func() (objects int) {
		summary, err := e.Inspect(ctx, engine.Check{Found: func(p engine.Problem) error { return errors.New(p.Message) }})
		want(t, "Inspect", err, nil)
		return summary.Objects
	}
	if n := count(); n != 2 {
		t.Errorf("there are %d objects, want 2", n)
	}

	s.yields = true
	want(t, "RequeueJob", db.RequeueJob(ctx, waiting[0].ID), nil)
	want(t, "RunDue", w.RunDue(ctx), nil)
	if n := count(); n != 1 {
		t.Errorf("there are %d objects, want 1", n)
	}
	if left, err := db.Jobs(ctx, queue.Filter{}, 0, 10); err != nil || len(left) != 0 {
		t.Errorf("jobs: %+v, %v", left, err)
	}
}

// TestHeldObjectStays: what a push has replaced stays while a backup needs it, and is no
// orphan. Afterwards it goes.
func TestHeldObjectStays(t *testing.T) {
	ctx := t.Context()
	db, s := openDB(t), &stubborn{Store: mem.New(), yields: true}
	e := engine.New(db, s, open)
	b := registrytest.NewBlob(1, 100_000)
	_, err := e.PutBlob(ctx, "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)
	key := keyOf(t, s, b)
	want(t, "AddHold", db.AddHold(ctx, "monday", time.Hour), nil)
	want(t, "AddHold", db.AddHold(ctx, "tuesday", 0), nil)
	damage(t, s.Store, key)
	_, err = e.PutBlob(ctx, "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)

	wantStays := func(by string, wait time.Duration) {
		t.Helper()
		want(t, "DoDueJobs", e.DoDueJobs(ctx), nil)
		if _, err := s.Size(ctx, key); err != nil {
			t.Fatalf("the object that is held: %v", err)
		}
		jobs, err := db.Jobs(ctx, queue.Filter{State: queue.Waiting}, 0, 10)
		want(t, "Jobs", err, nil)
		if len(jobs) != 1 || jobs[0].Reason != "held for "+by || jobs[0].Attempts != 0 || (time.Until(jobs[0].DueAt)-wait).Abs() > time.Minute {
			t.Errorf("got %+v", jobs)
		}
		_, err = e.Inspect(ctx, engine.Check{Deep: true, Found: func(p engine.Problem) error { return errors.New(p.Message) }})
		want(t, "Inspect", err, nil)
	}
	wantStays("tuesday", 24*time.Hour)
	want(t, "ReleaseHold", db.ReleaseHold(ctx, "tuesday"), nil)
	wantStays("monday", time.Hour)
	want(t, "ReleaseHold", db.ReleaseHold(ctx, "monday"), nil)
	// A backup that is made now does not name it.
	want(t, "DoDueJobs", e.DoDueJobs(ctx), nil)
	if _, err := s.Size(ctx, key); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("the object is still there: %v", err)
	}
}

// damage replaces an object by a shorter one.
func damage(t *testing.T, s blob.Store, key blob.Key) {
	t.Helper()
	want(t, "Delete", s.Delete(t.Context(), key), nil)
	w, err := s.Create(t.Context(), key)
	want(t, "Create", err, nil)
	_, err = w.Write([]byte("short"))
	want(t, "Write", err, nil)
	want(t, "Commit", w.Commit(t.Context()), nil)
}
