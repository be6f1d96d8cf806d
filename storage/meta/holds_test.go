package meta_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"berth/storage/blob"
	"berth/storage/meta"
	"berth/storage/queue"
)

func TestHolds(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		t.Run("what is held", func(t *testing.T) { testHeld(t, open(t)) })
		t.Run("release", func(t *testing.T) { testReleaseHold(t, open(t)) })
		t.Run("expiry", func(t *testing.T) { testHoldExpiry(t, open(t)) })
	})
}

func addHold(t *testing.T, db *meta.DB, name string, d time.Duration) meta.Hold {
	t.Helper()
	if err := db.AddHold(t.Context(), name, d); err != nil {
		t.Fatal(err)
	}
	all, err := db.Holds(t.Context())
	i := slices.IndexFunc(all, func(h meta.Hold) bool { return h.Name == name })
	if err != nil || i < 0 {
		t.Fatalf("there are the holds %+v (%v)", all, err)
	}
	return all[i]
}

// wantHeld checks which hold keeps an object that lost its name at a time; none if empty.
func wantHeld(t *testing.T, db *meta.DB, unnamed time.Time, by string) {
	t.Helper()
	got, held, err := db.Held(t.Context(), unnamed)
	if err != nil || got.Name != by || held != (by != "") {
		t.Errorf("held: %v, by %q (%v); want %q", held, got.Name, err, by)
	}
}

func testHeld(t *testing.T, db *meta.DB) {
	now := time.Now()
	wantHeld(t, db, now, "")
	a := addHold(t, db, "a", time.Hour)
	if a.CreatedAt.Sub(now).Abs() > 10*time.Second || a.ExpiresAt.Sub(a.CreatedAt) != time.Hour {
		t.Errorf("got %+v", a)
	}
	wantHeld(t, db, a.CreatedAt, "a")
	wantHeld(t, db, a.CreatedAt.Add(time.Hour), "a")
	// A transaction may have been under way.
	wantHeld(t, db, a.CreatedAt.Add(-30*time.Second), "a")
	// What had gone before the backup is not in it.
	wantHeld(t, db, a.CreatedAt.Add(-time.Hour), "")

	addHold(t, db, "b", 2*time.Hour)
	addHold(t, db, "c", time.Minute)
	wantHeld(t, db, time.Now(), "b")
	if c := addHold(t, db, "d", 0); !c.ExpiresAt.IsZero() {
		t.Errorf("got %+v", c)
	}
	wantHeld(t, db, time.Now(), "d")
	if err := db.AddHold(t.Context(), "a", 0); err == nil {
		t.Error("there are two holds of one name")
	}
	if all, err := db.Holds(t.Context()); err != nil || len(all) != 4 || all[0] != a {
		t.Errorf("got %+v, %v", all, err)
	}
}

func testReleaseHold(t *testing.T, db *meta.DB) {
	ctx := t.Context()
	addHold(t, db, "a", 0)
	later := time.Now().Add(time.Hour)
	err := db.Update(ctx, enqueue(ctx,
		queue.NewJob{Kind: meta.DeleteObjects, Key: string(blob.NewKey()), DueAt: later},
		queue.NewJob{Kind: "k", DueAt: later}))
	if err != nil {
		t.Fatal(err)
	}
	due := db.JobsDue()
	if err := db.ReleaseHold(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-due:
	case <-time.After(10 * time.Second):
		t.Error("nobody is woken")
	}
	wantHeld(t, db, time.Now(), "")
	if j, err := db.LeaseJob(ctx, []string{meta.DeleteObjects, "k"}, time.Minute); err != nil || j.Kind != meta.DeleteObjects {
		t.Errorf("got %+v, %v", j, err)
	}
	if j, err := db.LeaseJob(ctx, []string{"k"}, time.Minute); !errors.Is(err, queue.ErrNothingDue) {
		t.Errorf("another job has become due too: %+v, %v", j, err)
	}
	if err := db.ReleaseHold(ctx, "a"); !errors.Is(err, meta.ErrHoldUnknown) {
		t.Errorf("releasing it again: %v", err)
	}
}

func testHoldExpiry(t *testing.T, db *meta.DB) {
	ctx := t.Context()
	if err := db.AddHold(ctx, "short", 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	wantHeld(t, db, time.Now(), "")
	if all, err := db.Holds(ctx); err != nil || len(all) > 0 {
		t.Errorf("got %+v, %v", all, err)
	}
	addHold(t, db, "next", time.Hour) // which clears up
	if err := db.ReleaseHold(ctx, "short"); !errors.Is(err, meta.ErrHoldUnknown) {
		t.Errorf("releasing what has expired: %v", err)
	}
}

// TestHoldSeesWhatIsUnderWay: an object whose removal has noted its time, and cannot be
// seen yet when the hold and the snapshot are made, is in the snapshot and so has to stay.
func TestHoldSeesWhatIsUnderWay(t *testing.T) {
	db := openPostgres(t)
	ctx, key := t.Context(), blob.NewKey()
	err := db.Update(ctx, func(tx *meta.Tx) error {
		if err := tx.DeleteObjects(ctx, []blob.Key{key}); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
		return db.AddHold(ctx, "a", time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	j, err := db.LeaseJob(ctx, []string{meta.DeleteObjects}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := db.Holds(ctx); err != nil || !j.CreatedAt.Before(holds[0].CreatedAt) {
		t.Fatalf("the removal should be older: %+v, %+v, %v", j, holds, err)
	}
	wantHeld(t, db, j.CreatedAt, "a")
}
