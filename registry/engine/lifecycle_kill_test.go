package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

var errKilled = errors.New("killed")

// mortal is a store whose process dies at one of the transactions of a run: before it, or
// after it and before anybody hears of it.
type mortal struct {
	*meta.DB
	at    int
	after bool
}

func (m *mortal) ApplyLifecycle(ctx context.Context, run lifecycle.Run, running map[digest.Digest]bool, steps []lifecycle.Step) (lifecycle.Applied, error) {
	if m.at--; m.at > 0 {
		return m.DB.ApplyLifecycle(ctx, run, running, steps)
	}
	if m.after {
		if _, err := m.DB.ApplyLifecycle(ctx, run, running, steps); err != nil {
			return lifecycle.Applied{}, err
		}
	}
	return lifecycle.Applied{}, errKilled
}

// TestRunKilled kills a run at each of its transactions. The next goes on with it.
func TestRunKilled(t *testing.T) {
	oneAtATime(t)
	onBothSites(t, func(t *testing.T, s *site) {
		const kept, batches = 10, 4
		small := lifecycle.Options{Busy: func() bool { return true }} // three images a transaction
		images := several(3*(batches-1) + 2 + kept)
		for at := range batches {
			for _, after := range []bool{false, true} {
				repo := registry.Name(fmt.Sprintf("killed/%d-%v", at+1, after))
				s.aged(repo, images, numbered)
				s.policy(repo, fmt.Sprintf("tagged imageCountMoreThan %d v*", kept))
				_, err := lifecycle.NewPruner(&mortal{s.db, at + 1, after}, small).RunNow(t.Context(), repo, false)
				want(t, "RunNow", err, errKilled)
				runs, err := s.db.LifecycleRuns(t.Context(), repo, 0, 10)
				if err != nil || len(runs) != 1 || runs[0].State != lifecycle.Running {
					t.Fatalf("runs %+v, %v", runs, err)
				}
				run := s.prune(repo, small)
				if run.ID != runs[0].ID || run.Attempts != 2 || run.Expired != len(images)-kept || run.State != lifecycle.Done {
					t.Errorf("killed at transaction %d (after it: %v), then %+v", at+1, after, run)
				}
				s.left(repo, images[len(images)-kept:]...)
				events, err := s.db.LifecycleEvents(t.Context(), repo, 0, 1000)
				gone := map[digest.Digest]bool{}
				for _, e := range events {
					gone[e.Digest] = true
				}
				if err != nil || len(events) != run.Expired || len(gone) != run.Expired {
					t.Errorf("%d events of %d images, %v", len(events), len(gone), err)
				}
			}
		}
	})
}

// TestKilledRunOfAnotherPolicy: a run that was cut off does not go on with a policy that is not
// the one it was begun for.
func TestKilledRunOfAnotherPolicy(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		images := several(3)
		s.aged("a", images, untagged)
		s.policy("a", "untagged imageCountMoreThan 1")
		_, err := lifecycle.NewPruner(&mortal{s.db, 1, false}, lifecycle.Options{}).RunNow(t.Context(), "a", true)
		want(t, "RunNow", err, errKilled)
		s.policy("a", "untagged imageCountMoreThan 2")
		run := s.prune("a", lifecycle.Options{})
		s.left("a", images[1:]...)
		runs, err := s.db.LifecycleRuns(t.Context(), "a", 0, 10)
		if err != nil || len(runs) != 2 || runs[0] != run || run.Forced || runs[1].State != lifecycle.Superseded || runs[1].EndedAt.IsZero() {
			t.Errorf("runs %+v, %v", runs, err)
		}
	})
}

// TestRunsTakeTurns: while one run is under way on a repository, another one is put off.
func TestRunsTakeTurns(t *testing.T) {
	s := newSite(t, "", open, mem.New())
	images := several(2)
	s.aged("a", images, untagged)
	s.policy("a", "untagged imageCountMoreThan 1")
	p := lifecycle.NewPruner(s.db, lifecycle.Options{Applied: func(lifecycle.Applied) {
		if _, err := lifecycle.NewPruner(s.db, lifecycle.Options{}).RunNow(t.Context(), "a", false); err == nil {
			t.Error("two runs at once")
		}
	}})
	if _, err := p.RunNow(t.Context(), "a", false); err != nil {
		t.Error(err)
	}
	s.left("a", images[1])
}
