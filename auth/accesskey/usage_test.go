package accesskey_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"berth/auth/accesskey"
	"berth/auth/accesskey/accesskeytest"
)

// noting is a store that counts the notes, and can be down.
type noting struct {
	*accesskeytest.Store
	notes int
	down  error
}

func (n *noting) UseAccessKey(ctx context.Context, id string, at time.Time, apart time.Duration) error {
	n.notes++
	if n.down != nil {
		return n.down
	}
	return n.Store.UseAccessKey(ctx, id, at, apart)
}

func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store := &noting{Store: w.store}
		usage := accesskey.NewUsage(store, w.clock.Now, slog.New(slog.DiscardHandler))
		w.verifier.Used = usage.Used
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			usage.Run(ctx)
			close(stopped)
		}()
		c, temporary := w.create(t), w.issue(t, w.session(t))
		started := w.clock.Now()

		check := func(what string, notes int, used time.Duration) {
			t.Helper()
			synctest.Wait()
			k, err := w.store.AccessKey(t.Context(), c.AccessKeyID)
			must(t, err)
			if store.notes != notes || !k.LastUsedAt.Equal(started.Add(used)) {
				t.Errorf("%s: %d notes, the last use at %s; want %d and %s", what, store.notes, k.LastUsedAt, notes, started.Add(used))
			}
		}
		wrong := c
		wrong.SecretAccessKey = "wrong"
		_, err := w.verify(t, wrong)
		if err == nil {
			t.Fatal("a wrong secret passes")
		}
		synctest.Wait()
		if store.notes != 0 {
			t.Error("a wrong signature counts as use")
		}
		for range 10 {
			w.wantOwner(t, "a key", c, "alice")
			w.wantOwner(t, "a session", temporary, "alice")
		}
		check("ten requests", 1, 0)
		w.clock.Advance(10*time.Minute - 1)
		w.wantOwner(t, "a key", c, "alice")
		check("within ten minutes", 1, 0)
		w.clock.Advance(1)
		w.wantOwner(t, "a key", c, "alice")
		check("after ten minutes", 2, 10*time.Minute)

		w.clock.Advance(10 * time.Minute)
		store.down = errors.New("the database is down")
		w.wantOwner(t, "a key", c, "alice")
		check("while the store is down", 3, 10*time.Minute)
		store.down = nil
		w.wantOwner(t, "a key", c, "alice")
		check("when it is back", 4, 20*time.Minute)

		stop()
		<-stopped
	})
}

// TestUsageDoesNotWait: nobody writes, and requests go on.
func TestUsageDoesNotWait(t *testing.T) {
	w := newWorld(t)
	w.verifier.Used = accesskey.NewUsage(w.store, w.clock.Now, nil).Used
	for range 300 {
		c := w.create(t)
		w.wantOwner(t, "a key", c, "alice")
		must(t, w.manager.Delete(t.Context(), c.AccessKeyID))
	}
}
