package meta_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// pushed is a push of a small blob of size bytes.
func pushed(ctx context.Context, repo registry.Name, n, size int) func(*meta.Tx) error {
	content := make([]byte, size)
	b := meta.Blob{Digest: digest.FromString(fmt.Sprint(n)), Size: int64(size), Content: content}
	return func(tx *meta.Tx) error {
		if _, err := tx.PutBlob(ctx, b); err != nil {
			return err
		}
		r, _, err := tx.CreateRepository(ctx, repo, registry.Settings{})
		if err != nil {
			return err
		}
		return tx.LinkBlob(ctx, r, b.Digest)
	}
}

// gone takes what pushed has put.
func gone(ctx context.Context, repo registry.Name, n int) func(*meta.Tx) error {
	return func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, repo)
		if err != nil {
			return err
		}
		return tx.DeleteBlob(ctx, r, digest.FromString(fmt.Sprint(n)))
	}
}

// dropped removes a repository, some links at a time.
func dropped(ctx context.Context, db *meta.DB, repo registry.Name) error {
	for done := false; !done; {
		err := db.Update(ctx, func(tx *meta.Tx) error {
			r, err := tx.LockRepository(ctx, repo)
			if err == nil {
				done, err = tx.DeleteRepository(ctx, r, 3)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func do(t *testing.T, db *meta.DB, fn func(*meta.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func wantUsage(t *testing.T, db *meta.DB, repo registry.Name, want registry.Usage) {
	t.Helper()
	got, err := db.RepositoryUsage(t.Context(), repo)
	if err != nil || got.Usage != want {
		t.Errorf("%s uses %+v (%v), want %+v", repo, got.Usage, err, want)
	}
}

func wantTotal(t *testing.T, db *meta.DB, want int64) {
	t.Helper()
	if got, err := db.RegistryUsage(t.Context()); err != nil || got != want {
		t.Errorf("the registry has %d bytes (%v), want %d", got, err, want)
	}
}

// miscounts are the counts that are not what the obvious sums say.
func miscounts(t *testing.T, db *meta.DB) (found []meta.Miscount) {
	t.Helper()
	err := db.Snapshot(t.Context(), func(s *meta.Snapshot) (err error) {
		found, err = s.Miscounts(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantExact(t *testing.T, db *meta.DB) {
	t.Helper()
	for _, m := range miscounts(t, db) {
		t.Errorf("%s: %d were counted, there are %d", m.What, m.Counted, m.Sum)
	}
}

func TestUsage(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx, db := t.Context(), open(t)
		do(t, db, pushed(ctx, "a", 1, 100))
		do(t, db, pushed(ctx, "a", 2, 20))
		wantUsage(t, db, "a", registry.Usage{Unique: 120})
		do(t, db, pushed(ctx, "b", 1, 100))
		wantUsage(t, db, "a", registry.Usage{Unique: 20, Shared: 100})
		wantUsage(t, db, "b", registry.Usage{Shared: 100})
		do(t, db, pushed(ctx, "b", 1, 100)) // once more
		do(t, db, pushed(ctx, "c", 1, 100))
		wantUsage(t, db, "c", registry.Usage{Shared: 100})
		do(t, db, gone(ctx, "b", 1))
		wantUsage(t, db, "a", registry.Usage{Unique: 20, Shared: 100})
		if err := dropped(ctx, db, "c"); err != nil {
			t.Fatal(err)
		}
		wantUsage(t, db, "a", registry.Usage{Unique: 120})
		wantUsage(t, db, "b", registry.Usage{})
		if err := db.Update(ctx, func(tx *meta.Tx) error {
			return errors.Join(pushed(ctx, "a", 3, 7)(tx), errors.New("it fails"))
		}); err == nil {
			t.Fatal("it did not fail")
		}
		wantTotal(t, db, 120)
		wantExact(t, db)
		do(t, db, gone(ctx, "a", 1))
		wantTotal(t, db, 120) // until it is collected
		if _, err := db.Sweep(ctx, time.Now().Add(time.Hour), 100); err != nil {
			t.Fatal(err)
		}
		wantTotal(t, db, 0) // no manifest has named them
		wantUsage(t, db, "a", registry.Usage{})
		wantExact(t, db)
	})
}

// TestUsageRace pushes, deletes, collects and changes quotas at once, from two processes
// as it were, and compares what they have counted with the sums.
func TestUsageRace(t *testing.T) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) { testUsageRace(t, twice(t, database)) })
	}
}

// twice opens one database twice.
func twice(t *testing.T, database string) []*meta.DB {
	t.Helper()
	url := "sqlite:" + t.TempDir() + "/berth.db"
	if database == "PostgreSQL" {
		url = pgtest.Database(t)
	}
	return []*meta.DB{openURL(t, url, meta.Options{}), openURL(t, url, meta.Options{})}
}

func testUsageRace(t *testing.T, dbs []*meta.DB) {
	const blobs, repositories = 12, 5
	ctx, steps := t.Context(), 100
	name := func(n int) registry.Name { return registry.Name(fmt.Sprintf("team%d/app", n)) }
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			db := dbs[w%len(dbs)]
			for range steps {
				repo, n := name(random.IntN(repositories)), random.IntN(blobs)
				var err error
				switch random.IntN(10) {
				case 0, 1, 2, 3, 4:
					err = db.Update(ctx, pushed(ctx, repo, n, 1+n*n))
				case 5, 6:
					err = db.Update(ctx, gone(ctx, repo, n))
				case 7:
					_, err = db.Sweep(ctx, time.Now().Add(time.Hour), 5)
				case 8:
					err = dropped(ctx, db, repo)
				case 9:
					if random.IntN(2) == 0 {
						err = db.SetQuota(ctx, fmt.Sprintf("team%d", random.IntN(2)), int64(100+random.IntN(200)))
					} else {
						err = db.RemoveQuota(ctx, fmt.Sprintf("team%d", random.IntN(2)))
					}
				}
				for _, known := range []error{
					registry.ErrNameUnknown, registry.ErrBlobUnknown, registry.ErrNotSet, registry.ErrQuotaExceeded,
				} {
					if errors.Is(err, known) {
						err = nil
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantExact(t, dbs[0])
	// The second process has heard of all that the first did.
	if err := dbs[0].SetQuota(ctx, registry.RootPrefix, 1); err != nil {
		t.Fatal(err)
	}
	if err := dbs[1].Update(ctx, pushed(ctx, "new", 99, 5)); !errors.Is(err, registry.ErrQuotaExceeded) {
		t.Errorf("a push against a quota of another process: %v", err)
	}
	wantExact(t, dbs[1])
}

func TestRecount(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx, db := t.Context(), open(t)
		do(t, db, pushed(ctx, "team/a", 1, 100))
		do(t, db, pushed(ctx, "team/b", 1, 100))
		do(t, db, pushed(ctx, "team/b", 2, 10))
		if err := db.SetQuota(ctx, "team", 1000); err != nil {
			t.Fatal(err)
		}
		wantExact(t, db)
		if err := meta.Disturb(ctx, db); err != nil {
			t.Fatal(err)
		}
		if found := miscounts(t, db); len(found) != 9 {
			t.Errorf("%d counts are wrong, want 9: %v", len(found), found)
		}
		if err := db.Recount(ctx); err != nil {
			t.Fatal(err)
		}
		wantExact(t, db)
		wantUsage(t, db, "team/b", registry.Usage{Unique: 10, Shared: 100})
		wantUsed(t, db, "team", 110)
		do(t, db, pushed(ctx, "team/b", 3, 5))
		wantExact(t, db)
	})
}

// TestUsageOfBefore: what was pushed before bytes were counted is counted when the schema
// changes.
func TestUsageOfBefore(t *testing.T) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			url := "sqlite:" + t.TempDir() + "/berth.db"
			if database == "PostgreSQL" {
				url = pgtest.Database(t)
			}
			ctx, before := t.Context(), openURL(t, url, meta.Options{})
			do(t, before, pushed(ctx, "a", 1, 100))
			do(t, before, pushed(ctx, "a", 2, 20))
			do(t, before, pushed(ctx, "b", 1, 100))
			do(t, before, pushed(ctx, "empty", 3, 3))
			do(t, before, gone(ctx, "empty", 3))
			if err := meta.Uncount(ctx, before); err != nil {
				t.Fatal(err)
			}
			db := openURL(t, url, meta.Options{})
			wantUsage(t, db, "a", registry.Usage{Unique: 20, Shared: 100})
			wantUsage(t, db, "b", registry.Usage{Shared: 100})
			wantUsage(t, db, "empty", registry.Usage{})
			wantTotal(t, db, 123)
			wantExact(t, db)
			do(t, db, gone(ctx, "b", 1))
			wantExact(t, db)
		})
	}
}
