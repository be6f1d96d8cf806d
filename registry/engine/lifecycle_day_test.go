package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/gc"
)

// policyDay is a day in which policies are applied too.
type policyDay struct {
	*day
	pruner  *lifecycle.Pruner
	tags    map[registry.Name]map[registry.Tag]digest.Digest // of images that stay
	seen    map[registry.Name]int64                          // the last event
	expired int
	runs    int
}

// TestPolicyDay is 24 hours of a busy registry with garbage collection once a minute, and
// policies that are applied every half an hour. What the policies take goes, nothing else
// does, and in the end there is what they keep, with all its bytes and nothing besides.
func TestPolicyDay(t *testing.T) {
	oneAtATime(t)
	store := &failing{Store: mem.New()}
	s := newSite(t, "", open, store)
	d := &policyDay{
		day:    &day{site: s, store: store, random: rand.New(rand.NewPCG(3, 4))},
		pruner: lifecycle.NewPruner(s.db, lifecycle.Options{Every: 30 * time.Minute}),
		tags:   map[registry.Name]map[registry.Tag]digest.Digest{},
		seen:   map[registry.Name]int64{},
	}
	for i := range 10 {
		d.bases = append(d.bases, registrytest.NewBlob(uint64(2e6+i), 50_000))
	}
	for i := range 5 {
		repo := registry.Name(fmt.Sprintf("team/app%d", i))
		d.tags[repo] = map[registry.Tag]digest.Digest{}
		_, err := s.CreateRepository(t.Context(), repo, registry.Settings{})
		want(t, "CreateRepository", err, nil)
		s.policy(repo, "tagged imageCountMoreThan 5 v*", "untagged imageCountMoreThan 8", "any imageCountMoreThan 30")
	}
	for range 24 * 60 {
		for range d.random.IntN(4) {
			d.begin()
		}
		d.goOn()
		for range d.random.IntN(3) {
			d.tagOne()
		}
		if d.random.IntN(4) == 0 {
			d.deleteOne()
		}
		d.prune()
		if _, err := gc.NewSweeper(s.db, gc.Options{}).Sweep(t.Context()); err != nil {
			t.Fatal(err)
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
	for range 2 {
		s.clock.advance(time.Hour)
		d.prune()
	}
	need := map[digest.Digest]bool{}
	for repo, tags := range d.tags {
		var left []registrytest.Image
		for _, k := range d.stay {
			if k.repo == repo {
				left = append(left, k.image)
			}
		}
		s.left(repo, left...)
		for tag, digest := range tags {
			if err := s.isTag(repo, tag, registrytest.Image{Manifest: registry.Manifest{Digest: digest}}); err != nil {
				t.Errorf("%s: %v", repo, err)
			}
		}
		now, err := s.db.LifecycleSnapshot(t.Context(), repo)
		want(t, "LifecycleSnapshot", err, nil)
		policy, err := lifecycle.Parse(now.Policy)
		want(t, "Parse", err, nil)
		if taken, blocked := lifecycle.Decide(policy, now.Images, now.At); len(taken)+len(blocked) > 0 {
			t.Errorf("%s: the policy takes %d images, and more later: %d", repo, len(taken), len(blocked))
		}
	}
	for _, k := range d.stay {
		if err := s.whole(k.repo, k.image); err != nil {
			t.Errorf("%s has lost %s: %v", k.repo, k.image.Digest, err)
		}
		for _, b := range k.image.Blobs {
			need[b.Digest] = true
		}
	}
	if err := s.clean(len(need)); err != nil {
		t.Error(err)
	}
	if d.expired < 500 || d.runs < 200 {
		t.Errorf("only %d images went in %d runs", d.expired, d.runs)
	}
	t.Logf("%d pushes, %d deletions, %d images went in %d runs, %d stay", d.pushed, d.deleted, d.expired, d.runs, len(d.stay))
}

// prune has policies applied that are due.
func (d *policyDay) prune() {
	if runs := d.scheduled(d.pruner); runs > 0 {
		d.runs += runs
		d.forget()
	}
}

// tagOne gives an image another tag, or one that another has.
func (d *policyDay) tagOne() {
	if len(d.stay) == 0 {
		return
	}
	k := d.stay[d.random.IntN(len(d.stay))]
	tag := registry.Tag(fmt.Sprintf("v%d", d.random.IntN(200)))
	if d.random.IntN(10) == 0 {
		tag = "latest"
	}
	if err := d.push(d.t.Context(), k.repo, k.image, tag); err != nil {
		d.t.Errorf("a push of %s to %s: %v", tag, k.repo, err)
	}
	d.tags[k.repo][tag] = k.image.Digest
}

// deleteOne deletes an image with its tags.
func (d *policyDay) deleteOne() {
	before := slices.Clone(d.stay)
	d.day.deleteOne()
	for _, k := range before {
		if !slices.ContainsFunc(d.stay, k.same) {
			d.gone(k.repo, k.image.Digest)
		}
	}
}

// forget takes from what has to stay what policies have taken.
func (d *policyDay) forget() {
	for repo := range d.tags {
		events, err := d.db.LifecycleEvents(d.t.Context(), repo, 0, 1000)
		want(d.t, "LifecycleEvents", err, nil)
		for _, e := range events {
			if e.ID <= d.seen[repo] {
				break
			}
			d.expired++
			d.gone(repo, e.Digest)
		}
		if len(events) > 0 {
			d.seen[repo] = events[0].ID
		}
	}
}

func (d *policyDay) gone(repo registry.Name, gone digest.Digest) {
	d.stay = slices.DeleteFunc(d.stay, func(k kept) bool { return k.repo == repo && k.image.Digest == gone })
	for tag, at := range d.tags[repo] {
		if at == gone {
			delete(d.tags[repo], tag)
		}
	}
}
