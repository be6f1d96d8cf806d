package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
	"berth/storage/gc"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
	"berth/storage/queue"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// site is a registry whose clock tests move.
type site struct {
	*engine.Engine
	t     testing.TB
	db    *meta.DB
	store blob.Store
	clock *clock
}

// newSite has the database at url, or a new SQLite if it is empty.
func newSite(t testing.TB, url string, opts engine.Options, store blob.Store) *site {
	t.Helper()
	if url == "" {
		url = "sqlite:" + t.TempDir() + "/berth.db"
	}
	s := &site{t: t, clock: newClock(), store: store}
	db, err := meta.Open(context.Background(), url, meta.Options{Connections: 8, Now: s.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s.db, s.Engine = db, engine.New(db, s.store, opts)
	return s
}

// push is a push as clients do it: they ask for each blob, and push what is not there.
func (s *site) push(ctx context.Context, repo registry.Name, image registrytest.Image, tags ...registry.Tag) error {
	ctx = registry.WithPusher(ctx)
	for _, b := range image.Blobs {
		_, err := s.StatBlob(ctx, repo, b.Digest)
		if errors.Is(err, registry.ErrBlobUnknown) || errors.Is(err, registry.ErrNameUnknown) {
			_, err = s.PutBlob(ctx, repo, b.Chunk(), b.Digest)
		}
		if err != nil {
			return err
		}
	}
	_, err := s.PutManifest(ctx, repo, image.Manifest, tags)
	return err
}

// sweep collects garbage, and removes the objects.
func (s *site) sweep() gc.Run {
	s.t.Helper()
	run, err := gc.NewSweeper(s.db, gc.Options{}).Sweep(context.Background())
	if err == nil {
		err = s.DoDueJobs(context.Background())
	}
	if err != nil {
		s.t.Error(err)
	}
	return run
}

// whole checks that an image is there with all its bytes.
func (s *site) whole(repo registry.Name, image registrytest.Image) error {
	ctx := context.Background()
	if _, err := s.Manifest(ctx, repo, image.Reference()); err != nil {
		return err
	}
	for _, b := range image.Blobs {
		opened, err := s.OpenBlob(ctx, repo, b.Digest, registry.Span{})
		if err != nil {
			return fmt.Errorf("blob %s: %w", b.Digest, err)
		}
		if err := opened.Content.Close(); err != nil {
			return err
		}
	}
	return nil
}

// objects counts what lies in the store.
func (s *site) objects() (n int) {
	s.t.Helper()
	for _, err := range s.store.All(context.Background()) {
		if err != nil {
			s.t.Fatal(err)
		}
		n++
	}
	return n
}

// clean lets all that nothing mentions go, and checks that as many objects are left as
// there should be, and that rows and objects agree.
func (s *site) clean(objects int) error {
	s.t.Helper()
	found := []error{s.settle(objects)}
	_, err := s.Inspect(context.Background(), engine.Check{Found: func(p engine.Problem) error {
		found = append(found, errors.New(p.Message))
		return nil
	}})
	return errors.Join(append(found, err, s.forgotten())...)
}

// settle is clean without the walk over everything.
func (s *site) settle(objects int) error {
	s.t.Helper()
	for range 2 { // the second time for blobs that no repository sees since the first
		s.clock.advance(gc.DefaultGrace + time.Minute)
		s.sweep()
	}
	if n := s.objects(); n != objects {
		return fmt.Errorf("%d objects are left, want %d", n, objects)
	}
	left, err := s.db.GarbageCandidates(context.Background(), 10)
	if len(left) > 0 {
		err = fmt.Errorf("candidates are left: %v", left)
	}
	return err
}

// onBothSites runs a test on both databases, with all blobs in a store.
func onBothSites(t *testing.T, test func(*testing.T, *site)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newSite(t, "", open, mem.New())) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newSite(t, pgtest.Database(t), open, mem.New())) })
}

// TestGarbageGoes: a deleted image is kept for the grace, what others share for longer.
func TestGarbageGoes(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		image, shared := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		want(t, "push", s.push(ctx, "a", image, "x"), nil)
		want(t, "push", s.push(ctx, "a", shared), nil)
		want(t, "push", s.push(ctx, "b", shared), nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", shared.Digest), nil)
		s.clock.advance(gc.DefaultGrace - time.Minute)
		if run := s.sweep(); run.Candidates != 0 || s.objects() != 6 {
			t.Errorf("within the grace went %+v, %d objects are left", run, s.objects())
		}
		s.clock.advance(2 * time.Minute)
		if run := s.sweep(); run.Links != 6 || run.Blobs != 3 || s.objects() != 3 {
			t.Errorf("after the grace went %+v, %d objects are left", run, s.objects())
		}
		_, err := s.StatBlob(ctx, "a", image.Blobs[0].Digest)
		want(t, "StatBlob", err, registry.ErrBlobUnknown)
		want(t, "the image of b", s.whole("b", shared), nil)
		want(t, "clean", s.clean(3), nil)
		state, err := s.db.GCState(ctx)
		want(t, "GCState", err, nil)
		if state.Total.Blobs != 3 || state.Total.Links != 6 || state.Last.Blobs != 3 || state.Last.Ended.IsZero() {
			t.Errorf("the state is %+v", state)
		}
	})
}

// TestBlobsWithoutImage: what is pushed and never named goes too, and so does what is
// deleted by itself or with its repository.
func TestBlobsWithoutImage(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		for i, repo := range []registry.Name{"a", "b", "c"} {
			b := registrytest.NewBlob(uint64(i), 100_000)
			_, err := s.PutBlob(ctx, repo, b.Chunk(), b.Digest)
			want(t, "PutBlob", err, nil)
			if repo == "b" {
				want(t, "DeleteBlob", s.DeleteBlob(ctx, repo, b.Digest), nil)
			}
		}
		want(t, "DeleteRepository", s.DeleteRepository(ctx, "c", true), nil)
		if s.sweep(); s.objects() != 3 {
			t.Errorf("%d objects are left within the grace", s.objects())
		}
		want(t, "clean", s.clean(0), nil)
	})
}

// TestAskedForStays: a blob stays for the grace after somebody who may push has heard that
// it is there. Who only pulls keeps nothing.
func TestAskedForStays(t *testing.T) {
	for pushes, expected := range map[bool]error{true: nil, false: registry.ErrBlobUnknown} {
		onBothSites(t, func(t *testing.T, s *site) {
			ctx := t.Context()
			b := registrytest.NewBlob(1, 100_000)
			_, err := s.PutBlob(ctx, "a", b.Chunk(), b.Digest)
			want(t, "PutBlob", err, nil)
			s.clock.advance(gc.DefaultGrace - time.Minute)
			if pushes {
				ctx = registry.WithPusher(ctx)
			}
			_, err = s.StatBlob(ctx, "a", b.Digest)
			want(t, "StatBlob", err, nil)
			s.clock.advance(gc.DefaultGrace - time.Minute)
			s.sweep()
			_, err = s.StatBlob(ctx, "a", b.Digest)
			want(t, fmt.Sprintf("StatBlob (may push: %v)", pushes), err, expected)
		})
	}
}

// TestNamedBeforeItCame: where manifests may be incomplete, a blob that arrives after the
// manifest is no garbage.
func TestNamedBeforeItCame(t *testing.T) {
	s := newSite(t, "", engine.Options{CreateOnPush: true, MaxSmallBlob: -1, AllowSparse: func(registry.Name) bool { return true }}, mem.New())
	ctx := t.Context()
	image := registrytest.Recipe{Seed: 1}.Image()
	_, err := s.PutManifest(ctx, "a", image.Manifest, nil)
	want(t, "PutManifest", err, nil)
	want(t, "push", s.push(ctx, "a", image), nil)
	want(t, "clean", s.clean(3), nil)
	want(t, "the image", s.whole("a", image), nil)
}

// TestPause: nothing goes while the collection is paused.
func TestPause(t *testing.T) {
	s := newSite(t, "", open, mem.New())
	b := registrytest.NewBlob(1, 100_000)
	_, err := s.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)
	s.clock.advance(48 * time.Hour)
	want(t, "pause", s.db.ChangeGCState(t.Context(), func(x *gc.State) { x.PausedAt = s.clock.now() }), nil)
	if run := s.sweep(); run.Candidates != 0 {
		t.Errorf("while it was paused: %+v", run)
	}
	want(t, "resume", s.db.ChangeGCState(t.Context(), func(x *gc.State) { x.PausedAt = time.Time{} }), nil)
	if run := s.sweep(); run.Blobs != 1 {
		t.Errorf("afterwards: %+v", run)
	}
}

// failing is a store that deletes nothing for a while.
type failing struct {
	blob.Store
	mu     sync.Mutex
	deaf   bool
	denied int
}

func (f *failing) Delete(ctx context.Context, key blob.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaf {
		f.denied++
		return blob.ErrUnavailable
	}
	return f.Store.Delete(ctx, key)
}

// TestStoreDeletesNothing: objects that could not be removed go when they can be, and the
// same bytes can be pushed meanwhile.
func TestStoreDeletesNothing(t *testing.T) {
	store := &failing{Store: mem.New(), deaf: true}
	s := newSite(t, "", open, store)
	ctx := t.Context()
	image := registrytest.Recipe{Seed: 1}.Image()
	want(t, "push", s.push(ctx, "a", image), nil)
	want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
	s.clock.advance(48 * time.Hour)
	s.sweep()
	if store.denied == 0 || s.objects() != 3 {
		t.Fatalf("%d removals were refused, %d objects are left", store.denied, s.objects())
	}
	want(t, "push", s.push(ctx, "a", image), nil)
	store.deaf = false
	_, err := s.db.RequeueFailedJobs(ctx)
	want(t, "RequeueFailedJobs", err, nil)
	waiting, err := s.db.Jobs(ctx, queue.Filter{}, 0, 10)
	want(t, "Jobs", err, nil)
	for _, j := range waiting {
		want(t, "RequeueJob", s.db.RequeueJob(ctx, j.ID), nil)
	}
	want(t, "clean", s.clean(3), nil)
	want(t, "the image", s.whole("a", image), nil)
}
