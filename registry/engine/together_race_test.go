package engine_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// TestTogether has all that changes a registry meet on few repositories and few blobs: pushes,
// mounts, deletions, restorations, tags that move and are rolled back, the archive, quotas,
// lifecycle policies, reports of what runs, and sweeps without much grace, on two servers. What
// was acknowledged holds, nobody hears of anything but what the operation says, and in the end
// everything adds up.
func TestTogether(t *testing.T) {
	for name, url := range map[string]string{
		"SQLite": "sqlite:" + t.TempDir() + "/berth.db", "PostgreSQL": pgtest.Database(t),
	} {
		t.Run(name, func(t *testing.T) { testTogether(t, url, 3*time.Second) })
	}
}

func testTogether(t *testing.T, url string, d time.Duration) {
	const workers = 4 // on each server
	store := mem.New()
	a := newSite(t, url, open, store)
	sites := []*site{a, a.beside(url, store)}
	meeting := newMeeting()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var work sync.WaitGroup
	for i, s := range sites {
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				s.clock.advance(time.Millisecond)
				for _, step := range s.sweeper([]time.Duration{-time.Hour, 50 * time.Millisecond}[n/20%2]) {
					if err := step(); err != nil {
						t.Errorf("a sweep: %v", err)
					}
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
		for n := range workers {
			p := &participant{
				site: s, meeting: meeting, id: i*workers + n, random: rand.New(rand.NewPCG(uint64(i), uint64(n))),
				own: map[registry.Name]*registrytest.Image{}, done: map[string]int{},
			}
			work.Go(func() {
				for ctx.Err() == nil {
					p.act(t)
				}
			})
			t.Cleanup(func() { t.Logf("participant %d has done %v", p.id, p.done) })
		}
	}
	quiet := make(chan struct{})
	go func() {
		work.Wait()
		close(quiet)
	}()
	select {
	case <-quiet:
	case <-time.After(d + time.Minute):
		t.Fatal("somebody hangs")
	}
	a.addsUp(url)
	a.allGoes(url)
}

// beside is another server on the same database and store.
func (s *site) beside(url string, store *mem.Store) *site {
	s.t.Helper()
	other := &site{t: s.t, clock: s.clock, store: store}
	db, err := meta.Open(context.Background(), url, meta.Options{Connections: 8, Now: s.clock.now})
	want(s.t, "Open", err, nil)
	s.t.Cleanup(func() { want(s.t, "Close", db.Close(), nil) })
	other.db, other.Engine = db, engine.New(db, store, open)
	return other
}
