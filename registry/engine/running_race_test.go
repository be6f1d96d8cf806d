package engine_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// TestReportsMeet: of reports of a cluster that come at once, and removals of it, one after the
// other is done or is told to wait: what is left is what one of them has said.
func TestReportsMeet(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		reports := make([][]registry.ImageRef, 3)
		for n := range reports {
			for i := range 20 {
				d := digest.FromString(strconv.Itoa(i * (n + 1))) // some are in several
				reports[n] = append(reports[n], registry.ImageRef{Repository: "a", Digest: d})
			}
		}
		var all sync.WaitGroup
		for _, images := range reports {
			all.Go(func() {
				for range 20 {
					_, err := s.SetRunning(ctx, "prod", images)
					if err := ignore(registry.ErrUnavailable, err); err != nil {
						t.Errorf("SetRunning: %v", err)
					}
				}
			})
		}
		all.Go(func() {
			for range 20 {
				if err := ignore(registry.ErrUnavailable, s.RemoveCluster(ctx, "prod")); ignore(registry.ErrNotSet, err) != nil {
					t.Errorf("RemoveCluster: %v", err)
				}
			}
		})
		all.Wait()
		running, err := s.db.RunningIn(ctx, "a")
		want(t, "RunningIn", err, nil)
		_, err = s.RunningImages(ctx, "prod", registry.ImageRef{}, 1)
		if gone := errors.Is(err, registry.ErrNotSet); gone != (len(running) == 0) || !gone && len(running) != 20 {
			t.Errorf("%d images run (%v)", len(running), err)
		}
		_, err = s.SetRunning(ctx, "prod", reports[2])
		want(t, "SetRunning", err, nil)
		running, err = s.db.RunningIn(ctx, "a")
		want(t, "RunningIn", err, nil)
		for _, r := range reports[2] {
			if len(running[r.Digest]) == 0 || len(running) != len(reports[2]) {
				t.Fatalf("the last of the reports was of %v, and %d run", reports[2], len(running))
			}
		}
	})
}
