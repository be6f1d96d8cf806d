package engine_test

import (
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/gc"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// holding runs do while somebody else has the rows that a query locks, which go when release
// is called.
func holding(t *testing.T, url, query string) (release func()) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	want(t, "Open", err, nil)
	t.Cleanup(func() { db.Close() })
	tx, err := db.BeginTx(t.Context(), nil)
	want(t, "Begin", err, nil)
	res, err := tx.ExecContext(t.Context(), query)
	want(t, query, err, nil)
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", query, n, err)
	}
	return func() { want(t, "Rollback", tx.Rollback(), nil) }
}

// soon lets others come to where they wait.
func soon() { time.Sleep(300 * time.Millisecond) }

// TestLetGoDuringSweep: a blob that was a candidate long ago and is let go of again while a
// sweep is at it has the whole grace once more.
func TestLetGoDuringSweep(t *testing.T) {
	url := pgtest.Database(t)
	s := newSite(t, url, open, mem.New())
	ctx := t.Context()
	image := registrytest.Recipe{Seed: 1, Layers: 2}.Image()
	blobs := image.Blobs[1:]
	slices.SortFunc(blobs, func(a, b registrytest.Blob) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	first, second := blobs[0], blobs[1]
	for _, b := range blobs {
		_, err := s.PutBlob(ctx, "b", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
		want(t, "DeleteBlob", s.DeleteBlob(ctx, "b", b.Digest), nil)
	}
	kept := registrytest.Recipe{Seed: 2}.With(second)
	want(t, "push", s.push(ctx, "a", kept), nil)
	s.clock.advance(gc.DefaultGrace + time.Minute)

	release := holding(t, url, `UPDATE gc_candidates SET since = since WHERE digest = '`+string(first.Digest)+`'`)
	var sweep sync.WaitGroup
	sweep.Go(func() { s.sweep() })
	soon()
	want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", kept.Digest), nil)
	want(t, "DeleteBlob", s.DeleteBlob(ctx, "a", second.Digest), nil)
	release()
	sweep.Wait()
	_, err := s.RestoreImage(ctx, "a", registry.ImageID{Digest: kept.Digest}, registry.Restoration{})
	want(t, "RestoreImage", err, nil)
	want(t, "clean", s.clean(2), nil)
}

// TestForgottenTwice: two sweeps that forget the same image of two repositories do not leave
// its payload to each other.
func TestForgottenTwice(t *testing.T) {
	url := pgtest.Database(t)
	s := newSite(t, url, open, mem.New())
	ctx := t.Context()
	images := several(3)
	slices.SortFunc(images, func(a, b registrytest.Image) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	before, shared, after := images[0], images[1], images[2]
	remove := func(repo registry.Name, all ...registrytest.Image) {
		for _, image := range all {
			want(t, "push", s.push(ctx, repo, image), nil)
			want(t, "DeleteManifest", s.DeleteManifest(ctx, repo, image.Digest), nil)
		}
	}
	row := func(repo, d string) string {
		return `UPDATE deleted_images SET reason = reason WHERE repository = '` + repo + `' AND digest = '` + d + `'`
	}
	sweep := func(before time.Time, limit int) {
		if _, err := s.db.Sweep(ctx, before, limit); err != nil {
			t.Errorf("a sweep: %v", err)
		}
	}
	blobs := len(before.Blobs) + len(shared.Blobs)
	remove("a", before, shared)
	sweep(s.clock.now().Add(time.Minute), blobs) // which is not what this is about
	releaseA := holding(t, url, row("a", string(before.Digest)))
	var sweeps sync.WaitGroup
	sweeps.Go(func() { sweep(s.clock.now().Add(time.Minute), 100) })
	soon()
	s.clock.advance(-time.Hour) // as that of another server may go
	remove("b", shared, after)
	sweep(s.clock.now().Add(time.Minute), blobs)
	releaseB := holding(t, url, row("b", string(after.Digest)))
	sweeps.Go(func() { sweep(s.clock.now().Add(time.Minute), 100) })
	soon()
	s.clock.advance(time.Hour)
	releaseA()
	soon()
	releaseB()
	sweeps.Wait()
	want(t, "clean", s.clean(0), nil)
}

// TestPausedDuringSweep: a pause that is asked for while a sweep notes what it has done holds.
func TestPausedDuringSweep(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		var pause sync.WaitGroup
		err := s.db.ChangeGCState(t.Context(), func(x *gc.State) {
			x.Total.Blobs++
			pause.Go(func() {
				if err := s.db.ChangeGCState(t.Context(), func(x *gc.State) { x.PausedAt = s.clock.now() }); err != nil {
					t.Errorf("the pause: %v", err)
				}
			})
			soon()
		})
		want(t, "ChangeGCState", err, nil)
		pause.Wait()
		state, err := s.db.GCState(t.Context())
		want(t, "GCState", err, nil)
		if state.PausedAt.IsZero() || state.Total.Blobs != 1 {
			t.Errorf("the state is %+v", state)
		}
	})
}

// TestRecountMeetsDeletion: bytes can be counted anew while a repository is deleted.
func TestRecountMeetsDeletion(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		b := registrytest.NewBlob(1, 100_000)
		_, err := s.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
		var recount sync.WaitGroup
		var once sync.Once
		err = s.db.Update(t.Context(), func(tx *meta.Tx) error {
			r, err := tx.LockRepository(t.Context(), "a")
			if err != nil {
				return err
			}
			if _, err := tx.DeleteRepository(t.Context(), r, 100); err != nil {
				return err
			}
			once.Do(func() { // the transaction is run again when it has met the recount
				recount.Go(func() {
					if err := s.db.Recount(t.Context()); err != nil {
						t.Errorf("Recount: %v", err)
					}
				})
				soon()
			})
			return nil
		})
		want(t, "the deletion", err, nil)
		recount.Wait()
		want(t, "clean", s.clean(0), nil)
	})
}
