package engine_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
)

// TestRunningStays: what a cluster says that it runs stays under a policy that keeps it, and no
// such policy is applied before a cluster has said so.
func TestRunningStays(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		images := several(4)
		s.aged("a", images, numbered)
		_, err := s.SetLifecyclePolicy(ctx, "a", keepRunning("any imageCountMoreThan 1"))
		want(t, "SetLifecyclePolicy", err, nil)

		run := s.prune("a", lifecycle.Options{})
		if run.State != lifecycle.Stopped || !strings.Contains(run.Reason, "no cluster has said what it runs") {
			t.Errorf("nobody has said what runs: %+v", run)
		}
		forced, err := lifecycle.NewPruner(s.db, lifecycle.Options{}).RunNow(ctx, "a", true)
		if err != nil || forced.State != lifecycle.Stopped {
			t.Errorf("nobody has said what runs, and the run is forced: %+v, %v", forced, err)
		}
		s.left("a", images...)

		for _, runs := range []registry.ImageRef{{Repository: "a", Digest: images[1].Digest}, {Repository: "b", Digest: images[0].Digest}} {
			_, err = s.SetRunning(ctx, string(runs.Repository), []registry.ImageRef{runs})
			want(t, "SetRunning", err, nil)
		}
		if run := s.prune("a", lifecycle.Options{}); run.State != lifecycle.Done || run.Expired != 2 {
			t.Errorf("one of three old images runs: %+v", run)
		}
		s.left("a", images[1], images[3])

		_, err = s.SetRunning(ctx, "a", nil)
		want(t, "SetRunning", err, nil)
		s.prune("a", lifecycle.Options{})
		s.left("a", images[3])
	})
}

// TestStartsRunning: what comes to run after a run of the policy has looked is not taken, nor is
// what belongs to it.
func TestStartsRunning(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		images := several(3)
		s.aged("a", images, numbered)
		_, err := s.SetLifecyclePolicy(ctx, "a", keepRunning("any imageCountMoreThan 1"))
		want(t, "SetLifecyclePolicy", err, nil)
		_, err = s.SetRunning(ctx, "prod", nil)
		want(t, "SetRunning", err, nil)

		var applied lifecycle.Applied
		run := s.pruner("a", &applied)
		for range 2 { // it has begun, and looked
			want(t, "a step of the run", run[0](), nil)
		}
		_, err = s.SetRunning(ctx, "prod", []registry.ImageRef{{Repository: "a", Digest: images[0].Digest}, {Repository: "a", Digest: digest.FromString("?")}})
		want(t, "SetRunning", err, nil)
		for range 2 { // it acts, and ends
			want(t, "a step of the run", run[0](), nil)
		}
		if applied.Expired > 0 || applied.Skipped != 2 {
			t.Errorf("what was decided is %+v", applied)
		}
		s.left("a", images...)
		s.prune("a", lifecycle.Options{})
		s.left("a", images[0], images[2])
	})
}

// TestFirstReport: a cluster has said what it runs when all of it is there, and as long as it is.
func TestFirstReport(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		_, err := s.CreateRepository(ctx, "a", registry.Settings{})
		want(t, "CreateRepository", err, nil)
		images := make([]registry.ImageRef, 3000)
		for i := range images {
			images[i] = registry.ImageRef{Repository: "a", Digest: digest.FromString(strconv.Itoa(i))}
		}
		reported := make(chan error, 1)
		go func() {
			_, err := s.SetRunning(ctx, "prod", images)
			reported <- err
		}()
		for done := false; !done; {
			select {
			case err := <-reported:
				want(t, "SetRunning", err, nil)
				done = true
			default:
			}
			seen, err := s.db.LifecycleSnapshot(ctx, "a")
			want(t, "LifecycleSnapshot", err, nil)
			clusters, err := s.Clusters(ctx, "", 10)
			want(t, "Clusters", err, nil)
			running, err := s.db.RunningIn(ctx, "a")
			want(t, "RunningIn", err, nil)
			if all := len(running) == len(images); !seen.Unreported && !all || done && (seen.Unreported || len(clusters) != 1 || clusters[0].ReportedAt.IsZero()) {
				t.Fatalf("the cluster %+v has said what it runs (%v): %d images", clusters, !seen.Unreported, len(running))
			}
		}
		go func() { reported <- s.RemoveCluster(ctx, "prod") }()
		for done := false; !done; {
			select {
			case err := <-reported:
				want(t, "RemoveCluster", err, nil)
				done = true
			default:
			}
			running, err := s.db.RunningIn(ctx, "a")
			want(t, "RunningIn", err, nil)
			seen, err := s.db.LifecycleSnapshot(ctx, "a")
			want(t, "LifecycleSnapshot", err, nil)
			if !seen.Unreported && len(running) < len(images) || done && len(running) > 0 {
				t.Fatalf("a cluster that is forgotten has said what it runs (%v): %d images", !seen.Unreported, len(running))
			}
		}
		want(t, "a second RemoveCluster", s.RemoveCluster(ctx, "prod"), registry.ErrNotSet)
	})
}

// keepRunning writes a policy of rules that keeps what runs.
func keepRunning(list ...string) json.RawMessage {
	return json.RawMessage(strings.Replace(string(rules(list...)), "{", `{"berth":{"keepRunning":true},`, 1))
}
