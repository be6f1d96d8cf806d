package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/gc"
)

// day is a registry in which everybody is busy, and whose clock the test moves.
type day struct {
	*site
	store  *failing
	random *rand.Rand
	bases  []registrytest.Blob // layers that images share
	pushes []*slowPush         // under way
	stay   []kept
	gone   []gone
	seed   uint64

	pushed, deleted, restored int
}

// gone is an image that was deleted.
type gone struct {
	kept
	at time.Time
}

// kept is an image that the registry has to keep.
type kept struct {
	repo  registry.Name
	image registrytest.Image
}

// slowPush is a push that takes minutes or hours.
type slowPush struct {
	kept
	steps actor
	wait  int // minutes to the next step
}

// TestDay is 24 hours of a busy registry with garbage collection once a minute. No push fails, no
// image loses anything, and in the end there is nothing but what images need.
func TestDay(t *testing.T) {
	oneAtATime(t)
	store := &failing{Store: mem.New()}
	s := newSite(t, "", open, store)
	d := &day{site: s, store: store, random: rand.New(rand.NewPCG(1, 2))}
	for i := range 10 {
		d.bases = append(d.bases, registrytest.NewBlob(uint64(1e6+i), 50_000))
	}
	for minute := range 24 * 60 {
		store.mu.Lock()
		store.deaf = minute/60 == 5 // an hour in which nothing can be deleted
		store.mu.Unlock()
		for range d.random.IntN(4) {
			d.begin()
		}
		d.goOn()
		for range d.random.IntN(3) {
			d.deleteOne()
		}
		if d.random.IntN(5) == 0 {
			d.restoreOne()
		}
		sweeps := 1 + minute%7/6 // now and then two servers are at it
		for range sweeps {
			if _, err := gc.NewSweeper(s.db, gc.Options{}).Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.DoDueJobs(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.clock.advance(time.Minute)
		if t.Failed() {
			t.FailNow()
		}
	}
	for len(d.pushes) > 0 {
		d.goOn()
		s.clock.advance(time.Minute)
	}
	for range len(d.stay) / 2 {
		d.deleteOne()
	}
	need := map[digest.Digest]bool{}
	for _, k := range d.stay {
		if err := s.whole(k.repo, k.image); err != nil {
			t.Errorf("%s has lost %s: %v", k.repo, k.image.Digest, err)
		}
		for _, b := range k.image.Blobs {
			need[b.Digest] = true
		}
	}
	if _, err := s.db.RequeueFailedJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.ExpireUploads(t.Context(), s.clock.now(), false, func(engine.Expired) {}); err != nil {
		t.Fatal(err)
	}
	if err := s.clean(len(need)); err != nil {
		t.Error(err)
	}
	state, err := s.db.GCState(t.Context())
	if err != nil || state.Total.Blobs < 500 {
		t.Errorf("only %+v (%v) was collected", state.Total, err)
	}
	if store.denied == 0 {
		t.Error("nothing was to be deleted in the hour in which nothing can be")
	}
	if d.restored < 100 {
		t.Errorf("only %d images were restored", d.restored)
	}
	t.Logf("%d pushes, %d deletions, %d restorations, %d images stay; %+v", d.pushed, d.deleted, d.restored, len(d.stay), state.Total)
}

// begin begins a push of an image that shares layers with others, and may be one that was
// deleted.
func (d *day) begin() {
	d.seed++
	seed := d.seed
	if d.random.IntN(3) == 0 {
		seed = 1 + d.random.Uint64N(d.seed)
	}
	layers := []registrytest.Blob{registrytest.NewBlob(seed, 1000)}
	for i := range 1 + seed%3 {
		layers = append(layers, d.bases[(seed*7+i*3)%uint64(len(d.bases))])
	}
	repo := registry.Name(fmt.Sprintf("team/app%d", d.random.IntN(5)))
	p := &slowPush{kept: kept{repo, registrytest.Recipe{Seed: seed}.With(layers...)}}
	p.steps = d.pusher(repo, p.image)
	if d.random.IntN(4) == 0 {
		p.steps = d.mounter(repo, "", p.image)
	}
	d.pushes = append(d.pushes, p)
}

// goOn does a step of those pushes whose time it is. From the first to the last of them
// less than the grace goes by.
func (d *day) goOn() {
	d.pushes = slices.DeleteFunc(d.pushes, func(p *slowPush) bool {
		if p.wait--; p.wait > 0 {
			return false
		}
		if err := p.steps[0](); err != nil {
			d.t.Errorf("a push to %s: %v", p.repo, err)
			return true
		}
		p.steps, p.wait = p.steps[1:], d.random.IntN(3)
		if d.random.IntN(20) == 0 {
			p.wait = d.random.IntN(int(gc.DefaultGrace/time.Minute) / 12) // two hours, of some ten steps
		}
		if len(p.steps) > 0 {
			return false
		}
		d.pushed++
		if !slices.ContainsFunc(d.stay, p.same) {
			d.stay = append(d.stay, p.kept)
		}
		return true
	})
}

func (k kept) same(other kept) bool {
	return k.repo == other.repo && k.image.Digest == other.image.Digest
}

// deleteOne deletes an image.
func (d *day) deleteOne() {
	if len(d.stay) == 0 {
		return
	}
	n := d.random.IntN(len(d.stay))
	if err := d.DeleteManifest(context.Background(), d.stay[n].repo, d.stay[n].image.Digest); err != nil {
		d.t.Error(err)
	}
	d.gone = append(d.gone, gone{d.stay[n], d.clock.now()})
	d.stay = slices.Delete(d.stay, n, n+1)
	d.deleted++
}

// restoreOne restores an image that was deleted less than the grace ago, and deletes blobs of
// it before, if nothing needs them.
func (d *day) restoreOne() {
	if len(d.gone) == 0 {
		return
	}
	n := d.random.IntN(len(d.gone))
	x := d.gone[n]
	d.gone = slices.Delete(d.gone, n, n+1)
	if slices.ContainsFunc(d.stay, x.same) || d.clock.now().Sub(x.at) >= gc.DefaultGrace {
		return
	}
	ctx := context.Background()
	if d.random.IntN(3) == 0 {
		for _, b := range x.image.Blobs {
			_ = d.DeleteBlob(ctx, x.repo, b.Digest) // others may need it, or it is gone already
		}
	}
	if _, err := d.RestoreImage(ctx, x.repo, registry.ImageID{Digest: x.image.Digest}, registry.Restoration{}); err != nil {
		d.t.Errorf("%s, deleted from %s %s ago, is not restored: %v", x.image.Digest, x.repo, d.clock.now().Sub(x.at), err)
	}
	d.stay = append(d.stay, x.kept)
	d.restored++
}
