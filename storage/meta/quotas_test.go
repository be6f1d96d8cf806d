package meta_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"berth/registry"
	"berth/storage/meta"
)

// wantUsed checks what is counted under a quota.
func wantUsed(t *testing.T, db *meta.DB, prefix string, want int64) {
	t.Helper()
	all, err := db.Quotas(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if q.Prefix == prefix {
			if q.Used != want {
				t.Errorf("%d bytes are used under %s, want %d", q.Used, prefix, want)
			}
			return
		}
	}
	t.Errorf("there is no quota for %s", prefix)
}

func TestQuota(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx, db := t.Context(), open(t)
		do(t, db, pushed(ctx, "team", 1, 100))
		do(t, db, pushed(ctx, "team/app", 1, 100))
		do(t, db, pushed(ctx, "teams", 2, 50))
		do(t, db, pushed(ctx, "team-b/app", 3, 50))
		for prefix, bytes := range map[string]int64{"team": 150, registry.RootPrefix: 1000, "team/app/x": 5} {
			if err := db.SetQuota(ctx, prefix, bytes); err != nil {
				t.Fatal(err)
			}
		}
		wantUsed(t, db, "team", 100)
		wantUsed(t, db, registry.RootPrefix, 200)
		do(t, db, pushed(ctx, "team/other", 1, 100)) // is there under the prefix
		do(t, db, pushed(ctx, "team/app", 4, 50))
		wantUsed(t, db, "team", 150)
		err := db.Update(ctx, pushed(ctx, "team/app", 5, 1))
		if !errors.Is(err, registry.ErrQuotaExceeded) {
			t.Errorf("a push of too much: %v", err)
		}
		err = db.Update(ctx, pushed(ctx, "team", 2, 50)) // that is elsewhere
		if !errors.Is(err, registry.ErrQuotaExceeded) {
			t.Errorf("a push of what is elsewhere: %v", err)
		}
		do(t, db, pushed(ctx, "teams", 5, 1))
		wantUsed(t, db, registry.RootPrefix, 251)
		// The tightest refuses.
		err = db.Update(ctx, pushed(ctx, "team/app/x", 6, 60))
		var refused *registry.Error
		if !errors.As(err, &refused) || refused.Detail.(map[string]any)["prefix"] != "team" {
			t.Errorf("a push of too much for two: %v", err)
		}
		do(t, db, gone(ctx, "team", 1))
		wantUsed(t, db, "team", 150)
		for _, r := range []registry.Name{"team/app", "team/other"} {
			do(t, db, gone(ctx, r, 1))
		}
		wantUsed(t, db, "team", 50)
		wantExact(t, db)
		if err := db.SetQuota(ctx, "team", 10); err != nil {
			t.Fatal(err)
		}
		do(t, db, pushed(ctx, "team", 4, 50)) // is there, although there is too much already
		if err := db.RemoveQuota(ctx, "team"); err != nil {
			t.Fatal(err)
		}
		if err := db.RemoveQuota(ctx, "team"); !errors.Is(err, registry.ErrNotSet) {
			t.Errorf("a second removal: %v", err)
		}
		do(t, db, pushed(ctx, "team", 7, 90))
		wantExact(t, db)
	})
}

// TestQuotaRace has eight push at once what all but one byte of fits.
func TestQuotaRace(t *testing.T) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			dbs := twice(t, database)
			if err := dbs[0].SetQuota(t.Context(), "team", 79); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			refused := make(chan error, 8)
			for n := range 8 {
				wg.Go(func() {
					err := dbs[n%2].Update(t.Context(), pushed(t.Context(), registry.Name(fmt.Sprintf("team/%d", n)), n, 10))
					if errors.Is(err, registry.ErrQuotaExceeded) {
						refused <- err
					} else if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(refused) != 1 {
				t.Errorf("%d were refused, want 1", len(refused))
			}
			wantUsed(t, dbs[0], "team", 70)
			wantExact(t, dbs[0])
		})
	}
}
