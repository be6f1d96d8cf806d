package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/queue"
)

const (
	// batch is how many images go in one transaction, which takes some milliseconds. What
	// belongs together is not torn apart for it.
	batch = 50

	// Beside clients a transaction is one that they do not notice, and the database is theirs
	// for most of the time.
	smallBatch = 3
	longPause  = 29 // times what the transaction took
)

// RunNow holds the policy of a repository against its images and does what it says, unless
// the policy takes more than may be deleted and force is not set, or keeps what runs and nobody
// has said what does. What changes meanwhile is
// left to the next run. If another run on the repository is under way, it answers an error
// made by [queue.Later].
// Errors: registry.ErrNameUnknown, registry.ErrNotSet (there is no policy).
func (p *Pruner) RunNow(ctx context.Context, repo registry.Name, force bool) (run Run, err error) {
	held, err := p.store.WithLease(ctx, leaseOf(repo), lease, func(ctx context.Context) error {
		began := time.Now()
		var err error
		if run, err = p.store.BeginLifecycleRun(ctx, repo, force, p.next()); err != nil {
			return err
		}
		again, err := p.run(ctx, &run)
		switch {
		case errors.Is(err, ErrPolicyChanged):
			run.State, run.Reason = Superseded, err.Error()
		case errors.Is(err, registry.ErrNameUnknown):
			run.State, run.Reason = Superseded, "the repository is gone"
		case err != nil:
			return err // the run is taken up again
		}
		if run, err = p.store.EndLifecycleRun(ctx, run, again); err != nil {
			return err
		}
		p.report(ctx, run, time.Since(began))
		return nil
	})
	if err == nil && !held {
		err = queue.Later(lease/2, "another run on the repository is under way")
	}
	return run, err
}

// report tells of a run that has ended.
func (p *Pruner) report(ctx context.Context, r Run, took time.Duration) {
	p.opts.Ended(r, took)
	log := p.opts.Logger.With("repository", r.Repository, "run", r.ID)
	switch {
	case r.State == Stopped:
		log.WarnContext(ctx, "a lifecycle policy was not applied; berth lifecycle preview shows what it would do", "reason", r.Reason)
	case r.State == Failed:
		log.ErrorContext(ctx, "a lifecycle policy was not applied; it rests until it is put anew", "reason", r.Reason)
	case r.Expired+r.Archived+r.Untagged > 0:
		log.InfoContext(ctx, "a lifecycle policy was applied", "images", r.Images, "expired", r.Expired, "archived", r.Archived,
			"tags", r.Untagged, "skipped", r.Skipped, "blocked", r.Blocked, "took", took)
	}
}

// run decides and applies. It answers when the repository should be looked at again, if that
// is soon.
func (p *Pruner) run(ctx context.Context, run *Run) (again time.Duration, err error) {
	s, err := p.store.LifecycleSnapshot(ctx, run.Repository)
	if err != nil {
		return 0, err
	}
	if s.RepositoryID != run.RepositoryID || s.Policy != run.Policy {
		return 0, ErrPolicyChanged
	}
	policy, err := Parse(s.Policy)
	if err != nil {
		run.State, run.Reason = Failed, err.Error()
		return 0, nil
	}
	taken, blocked := Decide(policy, s.Images, s.At)
	run.Images, run.Blocked = len(s.Images), len(blocked)
	if reason := p.opts.Limit.Stops(policy, s, taken, blocked, run.Forced); reason != "" {
		run.State, run.Reason = Stopped, reason
		return 0, nil
	}
	steps, more := plan(s.Images, taken), unblocked(taken, blocked)
	var kept map[digest.Digest]bool
	if policy.KeepRunning {
		kept = running(s.Images)
	}
	applied, err := p.apply(ctx, *run, kept, steps)
	if err != nil {
		return 0, err
	}
	run.State = Done
	if applied.Skipped > 0 || applied.Expired > 0 && more {
		again = soon
	}
	return again, nil
}

// running are the images that run in some cluster.
func running(images []Image) map[digest.Digest]bool {
	all := map[digest.Digest]bool{}
	for i := range images {
		if len(images[i].RunningIn) > 0 {
			all[images[i].Digest] = true
		}
	}
	return all
}

// apply does all steps, some at a time.
func (p *Pruner) apply(ctx context.Context, run Run, running map[digest.Digest]bool, steps []Step) (all Applied, err error) {
	for len(steps) > 0 {
		limit := batch
		if p.opts.Busy() {
			limit = smallBatch
		}
		n := fit(steps, limit)
		began := time.Now()
		applied, err := p.store.ApplyLifecycle(ctx, run, running, steps[:n])
		if err != nil {
			return all, err
		}
		took := time.Since(began)
		all.Add(applied)
		p.opts.Applied(applied)
		if steps = steps[n:]; len(steps) == 0 {
			break
		}
		if err := p.pause(ctx, took); err != nil {
			return all, err
		}
	}
	return all, nil
}

// fit says how many of the steps are of no more than limit images, at least one.
func fit(steps []Step, limit int) int {
	images := 0
	for n, s := range steps {
		if images += len(s.Decisions); n > 0 && images > limit {
			return n
		}
	}
	return len(steps)
}
