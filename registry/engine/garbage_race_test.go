package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/gc"
	"berth/storage/meta/pgtest"
)

// orders yields the ways in which steps of several actors can follow each other, each
// actor's in its order.
func orders(steps []int, each func(order []int)) {
	var walk func(left, order []int)
	walk = func(left, order []int) {
		done := true
		for actor, n := range left {
			if n == 0 {
				continue
			}
			done = false
			next := slices.Clone(left)
			next[actor]--
			walk(next, append(slices.Clone(order), actor))
		}
		if done {
			each(order)
		}
	}
	walk(steps, nil)
}

// actor is what somebody does, step by step. Whatever another actor does may come between
// two steps.
type actor []func() error

// pusher pushes an image, whose config the registry does not have. What it has heard is there
// it does not push.
func (s *site) pusher(repo registry.Name, image registrytest.Image) actor {
	ctx := registry.WithPusher(context.Background())
	there := map[int]bool{}
	var steps actor
	for i, b := range image.Blobs {
		steps = append(steps, func() error {
			_, err := s.StatBlob(ctx, repo, b.Digest)
			there[i] = err == nil
			return nil
		}, func() error {
			if there[i] {
				return nil
			}
			_, err := s.PutBlob(ctx, repo, b.Chunk(), b.Digest)
			return err
		})
	}
	return append(steps, func() error {
		_, err := s.PutManifest(ctx, repo, image.Manifest, nil)
		return err
	})
}

// mounter pushes an image whose blobs it mounts.
func (s *site) mounter(repo, from registry.Name, image registrytest.Image) actor {
	ctx := registry.WithPusher(context.Background())
	var steps actor
	for _, b := range image.Blobs {
		steps = append(steps, func() error {
			_, err := s.MountBlob(ctx, repo, from, b.Digest)
			if errors.Is(err, registry.ErrBlobUnknown) {
				_, err = s.PutBlob(ctx, repo, b.Chunk(), b.Digest)
			}
			return err
		})
	}
	return append(steps, func() error {
		_, err := s.PutManifest(ctx, repo, image.Manifest, nil)
		return err
	})
}

func (s *site) deleter(repo registry.Name, image registrytest.Image) actor {
	return actor{func() error { return s.DeleteManifest(context.Background(), repo, image.Digest) }}
}

// sweeper collects what was garbage when the test began, and then removes the objects.
func (s *site) sweeper(grace time.Duration) actor {
	ctx := context.Background()
	return actor{
		func() error {
			_, err := gc.NewSweeper(s.db, gc.Options{Grace: grace}).Sweep(ctx)
			return err
		},
		func() error { return s.DoDueJobs(ctx) },
	}
}

// oneLayer is an image of a layer that others have too.
func oneLayer(seed uint64, layer registrytest.Image) registrytest.Image {
	return registrytest.Recipe{Seed: seed}.With(layer.Blobs[len(layer.Blobs)-1])
}

// play is a scene that is acted in every order.
type play struct {
	name string
	// prepare makes a scene of images and repositories that no other scene has.
	prepare func(s *site, seed uint64, a, b registry.Name) scene
}

// scene is a registry before several act on it at once.
type scene struct {
	actors  []actor
	pushed  map[registry.Name]registrytest.Image // by them
	objects int                                  // that are needed in the end

	// restored, if not nil, adds an image to what is needed if it was restored.
	restored func(*scene) bool
}

// TestOrders has pushes, deletions and sweeps follow each other in every order. An image
// whose push has been acknowledged, and that was not deleted, has all its bytes; and in the
// end nothing is left that no image needs.
func TestOrders(t *testing.T) {
	oneAtATime(t)
	ctx := context.Background()
	for _, c := range append([]play{
		{"push against the deletion of the image that shares its layer", func(s *site, seed uint64, a, _ registry.Name) scene {
			first := registrytest.Recipe{Seed: seed, Layers: 1}.Image()
			second := oneLayer(seed+1, first)
			want(s.t, "push", s.push(ctx, a, first), nil)
			return scene{
				actors: []actor{s.pusher(a, second), s.deleter(a, first), s.sweeper(gc.DefaultGrace)},
				pushed: map[registry.Name]registrytest.Image{a: second}, objects: 2,
			}
		}},
		{"push of what was deleted long ago", func(s *site, seed uint64, a, _ registry.Name) scene {
			image := registrytest.Recipe{Seed: seed, Layers: 1}.Image()
			want(s.t, "push", s.push(ctx, a, image), nil)
			want(s.t, "DeleteManifest", s.DeleteManifest(ctx, a, image.Digest), nil)
			s.clock.advance(gc.DefaultGrace + time.Minute)
			return scene{
				actors: []actor{s.pusher(a, image), s.sweeper(gc.DefaultGrace), s.sweeper(gc.DefaultGrace)},
				pushed: map[registry.Name]registrytest.Image{a: image}, objects: 2,
			}
		}},
		{"mount against the deletion of the source", func(s *site, seed uint64, a, b registry.Name) scene {
			image := registrytest.Recipe{Seed: seed, Layers: 1}.Image()
			want(s.t, "push", s.push(ctx, a, image), nil)
			want(s.t, "DeleteManifest", s.DeleteManifest(ctx, a, image.Digest), nil)
			s.clock.advance(gc.DefaultGrace + time.Minute)
			return scene{
				actors: []actor{s.mounter(b, a, image), s.sweeper(gc.DefaultGrace), s.sweeper(gc.DefaultGrace)},
				pushed: map[registry.Name]registrytest.Image{b: image}, objects: 2,
			}
		}},
		{"two deletions, and sweeps without any grace", func(s *site, seed uint64, a, _ registry.Name) scene {
			first := registrytest.Recipe{Seed: seed, Layers: 1}.Image()
			second := oneLayer(seed+1, first)
			want(s.t, "push", s.push(ctx, a, first), nil)
			want(s.t, "push", s.push(ctx, a, second), nil)
			return scene{actors: []actor{s.deleter(a, first), s.deleter(a, second), s.sweeper(-time.Hour), s.sweeper(-time.Hour)}}
		}},
	}, restorations...) {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, "", open, mem.New())
			var lengths []int
			for _, a := range c.prepare(s, 1, "first/a", "first/b").actors {
				lengths = append(lengths, len(a))
			}
			want(t, "DeleteRepository", s.DeleteRepository(ctx, "first/a", true), nil)
			n, restored := 0, 0
			orders(lengths, func(order []int) {
				n++
				x := c.prepare(s, uint64(10*n), registry.Name(fmt.Sprintf("a%d", n)), registry.Name(fmt.Sprintf("b%d", n)))
				next := make([]int, len(x.actors))
				for _, who := range order {
					if err := x.actors[who][next[who]](); err != nil {
						t.Fatalf("in the order %v actor %d fails at step %d: %v", order, who, next[who], err)
					}
					next[who]++
				}
				if x.restored != nil && x.restored(&x) {
					restored++
				}
				for repo, image := range x.pushed {
					if err := s.whole(repo, image); err != nil {
						t.Fatalf("in the order %v: %v", order, err)
					}
				}
				if err := s.settle(x.objects); err != nil {
					t.Fatalf("after the order %v: %v", order, err)
				}
				for repo, image := range x.pushed {
					if err := s.whole(repo, image); err != nil {
						t.Fatalf("in the order %v, in the end: %v", order, err)
					}
					want(t, "DeleteManifest", s.DeleteManifest(ctx, repo, image.Digest), nil)
				}
				if err := s.settle(0); err != nil {
					t.Fatalf("after the order %v and the deletion of all: %v", order, err)
				}
			})
			want(t, "clean", s.clean(0), nil)
			t.Logf("%d orders, %d restorations", n, restored)
		})
	}
}

// TestSweepsRace has clients push, delete and restore while sweepers with no grace at all are
// at it, which is more than ever happens.
func TestSweepsRace(t *testing.T) {
	for name, url := range map[string]string{"SQLite": "", "PostgreSQL": pgtest.Database(t)} {
		t.Run(name, func(t *testing.T) { testSweepsRace(t, newSite(t, url, open, mem.New())) })
	}
}

func testSweepsRace(t *testing.T, s *site) {
	const clients, rounds = 6, 40
	ctx, cancel := context.WithCancel(t.Context())
	var work, sweepers sync.WaitGroup
	base := registrytest.Recipe{Seed: 1, Layers: 1}.Image()
	for range 2 {
		sweepers.Go(func() {
			for ctx.Err() == nil {
				for _, step := range s.sweeper(-time.Hour) {
					if err := step(); err != nil && ctx.Err() == nil {
						t.Errorf("a sweep: %v", err)
					}
				}
				time.Sleep(2 * time.Millisecond) // or nobody ever gets to the end of a push
			}
		})
	}
	var mu sync.Mutex
	var stay []kept
	for c := range clients {
		work.Go(func() {
			random := rand.New(rand.NewPCG(uint64(c), 1))
			for round := range rounds {
				repo := registry.Name(fmt.Sprintf("r%d", random.IntN(3)))
				image := oneLayer(uint64(100+c*rounds+round), base)
				if err := s.insist(t.Context(), repo, image); err != nil {
					t.Errorf("a push: %v", err)
					return
				}
				if random.IntN(3) > 0 {
					if err := s.DeleteManifest(t.Context(), repo, image.Digest); err != nil {
						t.Errorf("a deletion: %v", err)
					}
					var restored bool
					if err := s.restorer(repo, image, &restored)[0](); err != nil {
						t.Errorf("a restoration: %v", err)
					}
					if !restored {
						continue
					}
				}
				mu.Lock()
				stay = append(stay, kept{repo, image})
				mu.Unlock()
			}
		})
	}
	work.Wait()
	cancel()
	sweepers.Wait()
	for _, p := range stay {
		if err := s.whole(p.repo, p.image); err != nil {
			t.Errorf("%s has lost %s: %v", p.repo, p.image.Digest, err)
		}
	}
	if err := s.clean(len(stay) + 1); err != nil {
		t.Error(err)
	}
}

// insist pushes again as long as the registry says of a manifest that a blob has gone
// meanwhile, which without any grace it may. Whoever pushes a blob hears no such thing: it has
// brought the bytes.
func (s *site) insist(ctx context.Context, repo registry.Name, image registrytest.Image) error {
	var err error
	for range 1000 {
		if err = s.push(ctx, repo, image); !errors.Is(err, registry.ErrManifestBlobUnknown) {
			return err
		}
	}
	return err
}
