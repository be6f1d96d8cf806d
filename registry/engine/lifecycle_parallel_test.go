package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/meta"
)

// shared is a store whose leases anybody gets.
type shared struct{ *meta.DB }

func (shared) WithLease(ctx context.Context, _ string, _ time.Duration, do func(context.Context) error) (bool, error) {
	return true, do(ctx)
}

// TestRunsInParallel has clients push images without a tag, which are due at once, and then
// give some of them one, while runs are under way all the time, two at once, which is more than
// ever happens. What has got its tag stays.
func TestRunsInParallel(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		const clients, rounds = 4, 25
		ctx, cancel := context.WithCancel(t.Context())
		repo := registry.Name("a")
		_, err := s.CreateRepository(ctx, repo, registry.Settings{})
		want(t, "CreateRepository", err, nil)
		s.policy(repo, "tagged imageCountMoreThan 1000 kept*", "untagged imageCountMoreThan 1")
		var work, pruners sync.WaitGroup
		var all lifecycle.Applied
		var mu sync.Mutex
		for range 2 {
			p := lifecycle.NewPruner(shared{s.db}, lifecycle.Options{Applied: func(a lifecycle.Applied) {
				mu.Lock()
				defer mu.Unlock()
				all.Add(a)
			}})
			pruners.Go(func() {
				for ctx.Err() == nil {
					if _, err := p.RunNow(ctx, repo, true); err != nil && ctx.Err() == nil {
						t.Errorf("a run: %v", err)
					}
				}
			})
		}
		var stay []registrytest.Image
		for c := range clients {
			work.Go(func() {
				for round := range rounds {
					image := registrytest.Recipe{Seed: uint64(1000 + c*rounds + round), Layers: 1}.Image()
					err := s.push(t.Context(), repo, image)
					if err == nil && round%2 == 0 {
						if err = s.push(t.Context(), repo, image, registry.Tag(fmt.Sprintf("kept-%d-%d", c, round))); err == nil {
							mu.Lock()
							stay = append(stay, image)
							mu.Unlock()
						}
					}
					if err != nil {
						t.Errorf("a push: %v", err)
						return
					}
				}
			})
		}
		work.Wait()
		cancel()
		pruners.Wait()
		for _, image := range stay {
			if err := s.whole(repo, image); err != nil {
				t.Errorf("%s is lost: %v", image.Digest, err)
			}
		}
		run, err := lifecycle.NewPruner(s.db, lifecycle.Options{}).RunNow(t.Context(), repo, true)
		page, _, pageErr := s.Images(t.Context(), repo, registry.ImagesQuery{Limit: 1000})
		// The one that is kept without a tag may have got one since.
		if err := errors.Join(err, pageErr); err != nil || len(page) < len(stay) || len(page) > len(stay)+1 {
			t.Errorf("%d images are left, %v; want %d, and one without a tag at the most", len(page), err, len(stay))
		}
		if all.Expired < clients*rounds/4 {
			t.Errorf("only %d images went: %+v", all.Expired, run)
		}
		t.Logf("%+v", all)
	})
}
