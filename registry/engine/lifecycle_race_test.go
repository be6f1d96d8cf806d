package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/meta"
)

// gated is a store of which each call of a run waits until it is let through. Anybody gets
// its leases, as if those that hold them had stood still for too long.
type gated struct {
	*meta.DB
	arrived chan struct{} // somebody waits, or the run is over
	through chan struct{}
}

func (g *gated) gate() {
	g.arrived <- struct{}{}
	<-g.through
}

func (g *gated) WithLease(ctx context.Context, _ string, _ time.Duration, do func(context.Context) error) (bool, error) {
	return true, do(ctx)
}

func (g *gated) BeginLifecycleRun(ctx context.Context, repo registry.Name, forced bool, next time.Duration) (lifecycle.Run, error) {
	g.gate()
	return g.DB.BeginLifecycleRun(ctx, repo, forced, next)
}

func (g *gated) LifecycleSnapshot(ctx context.Context, repo registry.Name) (lifecycle.Snapshot, error) {
	g.gate()
	return g.DB.LifecycleSnapshot(ctx, repo)
}

func (g *gated) ApplyLifecycle(ctx context.Context, run lifecycle.Run, running map[digest.Digest]bool, steps []lifecycle.Step) (lifecycle.Applied, error) {
	g.gate()
	return g.DB.ApplyLifecycle(ctx, run, running, steps)
}

func (g *gated) EndLifecycleRun(ctx context.Context, run lifecycle.Run, soon time.Duration) (lifecycle.Run, error) {
	g.gate()
	return g.DB.EndLifecycleRun(ctx, run, soon)
}

// pruner applies the policy of a repository: it begins, looks, acts, ends. What it has done
// is added to all.
func (s *site) pruner(repo registry.Name, all *lifecycle.Applied) actor {
	g := &gated{DB: s.db, arrived: make(chan struct{}), through: make(chan struct{})}
	var err error
	var begun, over bool
	begin := func() {
		begun = true
		go func() {
			var mu sync.Mutex
			p := lifecycle.NewPruner(g, lifecycle.Options{Applied: func(a lifecycle.Applied) {
				mu.Lock()
				defer mu.Unlock()
				all.Add(a)
			}})
			_, err = p.RunNow(context.Background(), repo, false)
			over = true
			g.arrived <- struct{}{}
		}()
		<-g.arrived
	}
	step := func() error {
		if !begun {
			begin()
		}
		if !over {
			g.through <- struct{}{}
			<-g.arrived
		}
		if errors.Is(err, registry.ErrNameUnknown) || errors.Is(err, registry.ErrNotSet) {
			return nil // somebody has taken the repository or its policy away
		}
		return err
	}
	return actor{step, step, step, step}
}

// contest is a repository in which a run meets somebody else.
type contest struct {
	actors []actor
	check  func() error // what has to hold in the end
}

// contests are by name; each is prepared in a repository of its own, in which one image is due.
var contests = []struct {
	name    string
	policy  []string
	prepare func(s *site, repo registry.Name, due registrytest.Image, applied *lifecycle.Applied) contest
}{
	{"a tag is pushed to the image", []string{"untagged sinceImagePushed 1"}, func(s *site, repo registry.Name, due registrytest.Image, _ *lifecycle.Applied) contest {
		return contest{[]actor{{func() error { return s.push(context.Background(), repo, due, "kept") }}}, func() error {
			if err := s.whole(repo, due); err != nil {
				return err
			}
			return s.isTag(repo, "kept", due)
		}}
	}},
	{"a tag is moved to the image", []string{"tagged imageCountMoreThan 1 latest", "tagged imageCountMoreThan 1 v*"}, func(s *site, repo registry.Name, due registrytest.Image, _ *lifecycle.Applied) contest {
		ctx := context.Background()
		younger, moved := registrytest.Recipe{Seed: 7}.Image(), registry.Tag("latest")
		s.clock.advance(-time.Hour)
		want(s.t, "push", s.push(ctx, repo, due, "v1"), nil)
		s.clock.advance(time.Hour)
		want(s.t, "push", s.push(ctx, repo, younger, "v2", moved), nil)
		return contest{[]actor{{func() error { return s.push(ctx, repo, due, moved) }}}, func() error {
			return errors.Join(s.whole(repo, due), s.whole(repo, younger), s.isTag(repo, moved, due))
		}}
	}},
	{"the image is deleted", []string{"untagged sinceImagePushed 1"}, func(s *site, repo registry.Name, due registrytest.Image, _ *lifecycle.Applied) contest {
		return contest{[]actor{{func() error {
			return ignore(registry.ErrManifestUnknown, s.DeleteManifest(context.Background(), repo, due.Digest))
		}}}, func() error { return s.isGone(repo, due) }}
	}},
	{"the image is restored", []string{"any sinceImageTransitioned 90"}, func(s *site, repo registry.Name, due registrytest.Image, _ *lifecycle.Applied) contest {
		ctx, id := context.Background(), registry.ImageID{Digest: due.Digest}
		s.clock.advance(-100 * 24 * time.Hour)
		_, err := s.SetStorageClass(ctx, repo, id, registry.Archive)
		want(s.t, "SetStorageClass", err, nil)
		s.clock.advance(100 * 24 * time.Hour)
		var restored error
		return contest{[]actor{{func() error {
			_, restored = s.SetStorageClass(ctx, repo, id, registry.Standard)
			return ignore(registry.ErrManifestUnknown, restored)
		}}}, func() error {
			if restored != nil {
				return s.isGone(repo, due)
			}
			return s.whole(repo, due)
		}}
	}},
	{"an index comes to list the image", []string{"untagged sinceImagePushed 1"}, func(s *site, repo registry.Name, due registrytest.Image, _ *lifecycle.Applied) contest {
		index := registrytest.Recipe{}.Index(due)
		var pushed error
		return contest{[]actor{{func() error {
			pushed = s.push(context.Background(), repo, index, "index")
			return ignore(registry.ErrManifestBlobUnknown, pushed)
		}}}, func() error {
			if pushed != nil {
				return s.isGone(repo, due)
			}
			return errors.Join(s.whole(repo, index), s.whole(repo, due))
		}}
	}},
	{"the image is signed", []string{"untagged sinceImagePushed 1"}, func(s *site, repo registry.Name, due registrytest.Image, applied *lifecycle.Applied) contest {
		subject := due.Descriptor()
		signature := registrytest.Recipe{Seed: 8, Subject: &subject}.Image()
		var signedFirst bool
		return contest{[]actor{{func() error {
			signedFirst = applied.Expired == 0
			return s.push(context.Background(), repo, signature)
		}}}, func() error {
			if signedFirst && applied.Expired == 0 {
				return errors.Join(s.whole(repo, due), s.whole(repo, signature))
			}
			if signedFirst { // what has a signature goes with it or stays
				return errors.Join(s.isGone(repo, due), s.isGone(repo, signature))
			}
			return s.isGone(repo, due)
		}}
	}},
	{"the policy is removed", []string{"untagged sinceImagePushed 1"}, func(s *site, repo registry.Name, due registrytest.Image, applied *lifecycle.Applied) contest {
		var before int
		return contest{[]actor{{func() error {
			_, err := s.SetLifecyclePolicy(context.Background(), repo, nil)
			before = applied.Expired
			return err
		}}}, func() error {
			if applied.Expired != before {
				return fmt.Errorf("%d images went after the policy", applied.Expired-before)
			}
			return nil
		}}
	}},
	{"the repository is deleted, and made again with the image", []string{"untagged sinceImagePushed 1"}, func(s *site, repo registry.Name, due registrytest.Image, _ *lifecycle.Applied) contest {
		ctx := context.Background()
		return contest{[]actor{{
			func() error { return s.DeleteRepository(ctx, repo, true) },
			func() error { return s.push(ctx, repo, due) },
		}}, func() error { return s.whole(repo, due) }}
	}},
	{"another run", []string{"untagged sinceImagePushed 1"}, func(s *site, repo registry.Name, due registrytest.Image, applied *lifecycle.Applied) contest {
		return contest{[]actor{s.pruner(repo, applied)}, func() error {
			events, err := s.db.LifecycleEvents(context.Background(), repo, 0, 10)
			if err == nil && (len(events) != 1 || applied.Expired != 1) {
				err = fmt.Errorf("%d images went, as %d events tell", applied.Expired, len(events))
			}
			return errors.Join(err, s.isGone(repo, due))
		}}
	}},
}

// TestRunOrders has a run meet others in every order, on both databases.
func TestRunOrders(t *testing.T) {
	oneAtATime(t)
	onBothSites(t, func(t *testing.T, s *site) {
		for k, c := range contests {
			n := 0
			due := registrytest.Recipe{Seed: uint64(1000 + k), Layers: 1}.Image()
			prepare := func(repo registry.Name, applied *lifecycle.Applied) contest {
				s.clock.advance(-48 * time.Hour)
				want(t, "push", s.push(t.Context(), repo, due), nil)
				s.clock.advance(48 * time.Hour)
				s.policy(repo, c.policy...)
				return c.prepare(s, repo, due, applied)
			}
			lengths := []int{4}
			for _, a := range prepare(registry.Name(fmt.Sprintf("c%d/first", k)), new(lifecycle.Applied)).actors {
				lengths = append(lengths, len(a))
			}
			orders(lengths, func(order []int) {
				n++
				repo := registry.Name(fmt.Sprintf("c%d/r%d", k, n))
				var applied lifecycle.Applied
				x := prepare(repo, &applied)
				actors := append([]actor{s.pruner(repo, &applied)}, x.actors...)
				next := make([]int, len(actors))
				for _, who := range order {
					if err := actors[who][next[who]](); err != nil {
						t.Fatalf("%s: in the order %v actor %d fails at step %d: %v", c.name, order, who, next[who], err)
					}
					next[who]++
				}
				if err := x.check(); err != nil {
					t.Fatalf("%s: in the order %v (%+v): %v", c.name, order, applied, err)
				}
			})
			t.Logf("%s: %d orders", c.name, n)
		}
	})
}

func ignore(kind, err error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// isTag checks that a tag names an image.
func (s *site) isTag(repo registry.Name, tag registry.Tag, image registrytest.Image) error {
	d, err := s.StatManifest(context.Background(), repo, registry.Reference{Tag: tag})
	if err == nil && d.Digest != image.Digest {
		err = fmt.Errorf("%s is %s", tag, d.Digest)
	}
	return err
}

// isGone checks that an image is not in a repository, archived or not.
func (s *site) isGone(repo registry.Name, image registrytest.Image) error {
	_, err := s.Image(context.Background(), repo, registry.ImageID{Digest: image.Digest})
	if err == nil {
		return fmt.Errorf("%s is there", image.Digest)
	}
	return ignore(registry.ErrManifestUnknown, err)
}
