package meta_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// TestPutBlobAgainstSweep has a sweep look for garbage while a push has found the blob that it
// brings and not made it visible yet. On SQLite one transaction waits for the other.
func TestPutBlobAgainstSweep(t *testing.T) {
	ctx := t.Context()
	db := openPostgres(t)
	b := unseenBlob(t, db, "a")
	err := db.Update(ctx, func(tx *meta.Tx) error {
		if _, err := tx.PutBlob(ctx, b); err != nil {
			return err
		}
		if s, err := db.Sweep(ctx, time.Now().Add(time.Hour), 10); err != nil || s.Blobs != 0 {
			t.Errorf("a sweep removes %d blobs (%v) of which one is being pushed", s.Blobs, err)
		}
		r, err := tx.Repository(ctx, "a")
		if err != nil {
			return err
		}
		return tx.LinkBlob(ctx, r, b.Digest)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Blob(ctx, "a", b.Digest); err != nil {
		t.Error(err)
	}
}

// TestDeletionAgainstSweep lets go of a blob for the last time while a sweep stands between having
// found it, let go of long ago for the first time, and its second look. The grace counts anew.
func TestDeletionAgainstSweep(t *testing.T) {
	ctx := t.Context()
	db := openPostgres(t)
	b := unseenBlob(t, db, "a")
	first := digest.Digest("sha256:" + strings.Repeat("0", 64)) // the sweep comes to it first
	err := db.Update(ctx, func(tx *meta.Tx) error { return tx.AddCandidate(ctx, first, time.Now()) })
	before := time.Now()
	err = errors.Join(err, db.Update(ctx, ensure(ctx, "b")), db.Update(ctx, link(ctx, "b", b)))
	if err != nil {
		t.Fatal(err)
	}
	swept := make(chan error)
	err = db.Update(ctx, func(tx *meta.Tx) error {
		if err := tx.AddCandidate(ctx, first, time.Now()); err != nil {
			return err
		}
		go func() {
			_, err := db.Sweep(ctx, before, 10)
			swept <- err
		}()
		select {
		case err := <-swept:
			go func() { swept <- err }()
		case <-time.After(300 * time.Millisecond): // it waits for this transaction
		}
		return db.Update(ctx, func(tx *meta.Tx) error {
			r, err := tx.LockRepository(ctx, "b")
			if err != nil {
				return err
			}
			return tx.DeleteBlob(ctx, r, b.Digest)
		})
	})
	if err := errors.Join(err, <-swept); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Sweep(ctx, before, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := db.FindBlob(ctx, b.Digest); err != nil {
		t.Errorf("a blob that has just been let go of: %v", err)
	}
	if s, err := db.Sweep(ctx, time.Now().Add(time.Hour), 10); err != nil || s.Blobs != 1 {
		t.Errorf("after the grace %d blobs go (%v), want 1", s.Blobs, err)
	}
}

// TestCandidateTwice notes a blob twice, as when a sweep finds that it is being deleted elsewhere: the
// grace counts from the last time.
func TestCandidateTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx := t.Context()
		db := open(t)
		b := unseenBlob(t, db, "a")
		noted := time.Now().Add(time.Hour).Truncate(time.Microsecond)
		for _, since := range []time.Time{noted, noted.Add(-2 * time.Hour)} {
			if err := db.Update(ctx, func(tx *meta.Tx) error { return tx.AddCandidate(ctx, b.Digest, since) }); err != nil {
				t.Fatal(err)
			}
		}
		if x, err := db.ExplainGarbage(ctx, b.Digest, 1); err != nil || !x.UnseenSince.Equal(noted) {
			t.Errorf("the blob is a candidate since %v (%v), want %v", x.UnseenSince, err, noted)
		}
	})
}

// TestGarbageCandidates has the oldest come first, whether a repository sees it or not.
func TestGarbageCandidates(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx := t.Context()
		db := open(t)
		unseen := unseenBlob(t, db, "a")
		content := []byte("bytes that come later")
		seen := meta.Blob{Digest: digest.FromBytes(content), Size: int64(len(content)), Content: content}
		if err := db.Update(ctx, link(ctx, "a", seen)); err != nil {
			t.Fatal(err)
		}
		inOrder := []digest.Digest{unseen.Digest, seen.Digest}
		for limit := 1; limit <= 3; limit++ {
			want := inOrder[:min(limit, len(inOrder))]
			all, err := db.GarbageCandidates(ctx, limit)
			var got []digest.Digest
			for _, c := range all {
				got = append(got, c.Digest)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d candidates are %v (%v), want %v", limit, got, err, want)
			}
		}
	})
}

// TestPushesAgainstSweeps pushes one blob over and over while it is deleted and swept away.
func TestPushesAgainstSweeps(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		db := open(t)
		b := unseenBlob(t, db, "a")
		var sweeper, pushers sync.WaitGroup
		sweeper.Go(func() {
			for ctx.Err() == nil {
				if _, err := db.Sweep(ctx, time.Now().Add(time.Hour), 10); err != nil && ctx.Err() == nil {
					t.Errorf("a sweep: %v", err)
				}
			}
		})
		for n := range 4 {
			repo := registry.Name(fmt.Sprintf("r%d", n))
			if err := db.Update(ctx, ensure(ctx, repo)); err != nil {
				t.Fatal(err)
			}
			pushers.Go(func() {
				for range 200 {
					if err := db.Update(ctx, link(ctx, repo, b)); err != nil {
						t.Errorf("a push: %v", err)
						return
					}
				}
			})
		}
		pushers.Wait()
		cancel()
		sweeper.Wait()
	})
}

// TestPayloadsAgainstSweeps pushes one manifest to several repositories over and over, deletes it
// and restores it, while it is swept away as soon as it can be.
func TestPayloadsAgainstSweeps(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		db := open(t)
		e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
		image := registrytest.Recipe{}.Index() // needs nothing
		var sweeper, pushers sync.WaitGroup
		sweeper.Go(func() {
			for ctx.Err() == nil {
				if _, err := db.Sweep(ctx, time.Now().Add(time.Hour), 10); err != nil && ctx.Err() == nil {
					t.Errorf("a sweep: %v", err)
				}
			}
		})
		for n := range 4 {
			repo := registry.Name(fmt.Sprintf("r%d", n))
			pushers.Go(func() {
				for range 100 {
					if _, err := e.PutManifest(t.Context(), repo, image.Manifest, []registry.Tag{"x"}); err != nil {
						t.Errorf("a push: %v", err)
						return
					}
					if err := e.DeleteManifest(t.Context(), repo, image.Digest); err != nil {
						t.Errorf("a deletion: %v", err)
					}
					_, err := e.RestoreImage(t.Context(), repo, registry.ImageID{Digest: image.Digest}, registry.Restoration{})
					if err != nil && !errors.Is(err, registry.ErrManifestUnknown) {
						t.Errorf("a restoration: %v", err)
					}
					_, found := e.Manifest(t.Context(), repo, registry.Reference{Tag: "x"})
					if (err == nil) != (found == nil) {
						t.Errorf("the restoration says %v, and the image %v", err, found)
					}
				}
			})
		}
		pushers.Wait()
		cancel()
		sweeper.Wait()
	})
}

// unseenBlob is a small blob that no repository sees; repo is there.
func unseenBlob(t *testing.T, db *meta.DB, repo registry.Name) meta.Blob {
	t.Helper()
	ctx := t.Context()
	content := []byte("bytes of " + t.Name())
	b := meta.Blob{Digest: digest.FromBytes(content), Size: int64(len(content)), Content: content}
	err := errors.Join(
		db.Update(ctx, ensure(ctx, repo)),
		db.Update(ctx, link(ctx, repo, b)),
		db.Update(ctx, func(tx *meta.Tx) error {
			r, err := tx.LockRepository(ctx, repo)
			if err != nil {
				return err
			}
			return tx.DeleteBlob(ctx, r, b.Digest)
		}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// link pushes a blob to a repository.
func link(ctx context.Context, repo registry.Name, b meta.Blob) func(*meta.Tx) error {
	return func(tx *meta.Tx) error {
		r, err := tx.Repository(ctx, repo)
		if err != nil {
			return err
		}
		if _, err := tx.PutBlob(ctx, b); err != nil {
			return err
		}
		return tx.LinkBlob(ctx, r, b.Digest)
	}
}
