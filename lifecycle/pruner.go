package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"berth/registry"
	"berth/storage/queue"
)

// DefaultEvery is how often a policy is held against the images of its repository. Amazon
// ECR takes up to a day.
const DefaultEvery = 12 * time.Hour

const (
	// jitter is by how much that varies, so that repositories spread over the day.
	jitter = 0.1

	// soon is when a repository is looked at again in which something is left to be done,
	// such as what an index that has gone has listed.
	soon = time.Minute

	// remembered is how long runs and events are kept.
	remembered = 365 * 24 * time.Hour

	// look is how often something may have become due, at the most.
	look = time.Minute

	// many is how many repositories become jobs, and how many old rows go, in one transaction.
	many = 100

	// lease is how long after the death of a run another one may begin.
	lease = time.Minute
)

// Options are the knobs of a [Pruner]. The zero value works.
type Options struct {
	Every  time.Duration // how often each repository is looked at; zero means DefaultEvery
	Limit  Limit         // on what a run may delete
	Logger *slog.Logger

	// Busy, if set, reports whether clients are being served. A run is then in less of a hurry.
	Busy func() bool

	Applied func(Applied)                   // if set, is told of each transaction
	Ended   func(r Run, took time.Duration) // if set, is told of each run, and how long its last attempt took
}

// Pruner applies lifecycle policies.
type Pruner struct {
	store Store
	opts  Options
}

// NewPruner returns a pruner of what is in s.
func NewPruner(s Store, opts Options) *Pruner {
	if opts.Every == 0 {
		opts.Every = DefaultEvery
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Busy == nil {
		opts.Busy = func() bool { return false }
	}
	if opts.Applied == nil {
		opts.Applied = func(Applied) {}
	}
	if opts.Ended == nil {
		opts.Ended = func(Run, time.Duration) {}
	}
	return &Pruner{store: s, opts: opts}
}

// Runs are the handlers of jobs that hold policies against images.
func (p *Pruner) Runs() map[string]queue.Handler {
	return map[string]queue.Handler{RunJob: queue.Handle(p.runJob)}
}

// Previews are the handlers of jobs that try policies out. They have workers of their own, so
// that nobody who waits for a preview waits for a run.
func (p *Pruner) Previews() map[string]queue.Handler {
	return map[string]queue.Handler{PreviewJob: {Do: p.previewJob, Attempts: previewAttempts}}
}

// Run has repositories become jobs when they are due, and forgets what is old, until ctx
// ends.
func (p *Pruner) Run(ctx context.Context, alone queue.Alone) {
	for {
		_, err := alone(ctx, func(ctx context.Context) error {
			if _, err := p.Schedule(ctx); err != nil {
				return err
			}
			return p.forget(ctx)
		})
		if err != nil && ctx.Err() == nil {
			p.opts.Logger.WarnContext(ctx, "lifecycle policies cannot be scheduled; they wait until the next attempt", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(look, p.opts.Every/10+time.Second/10)):
		}
	}
}

// Schedule makes jobs of all repositories that are due, and says of how many.
func (p *Pruner) Schedule(ctx context.Context) (all int, err error) {
	for {
		n, err := p.store.ScheduleLifecycle(ctx, many, p.next)
		if all += n; err != nil || n < many {
			return all, err
		}
	}
}

// next is how long after one run the next comes.
func (p *Pruner) next() time.Duration {
	return time.Duration(float64(p.opts.Every) * (1 - jitter + 2*jitter*rand.Float64()))
}

// forget removes what is no longer kept.
func (p *Pruner) forget(ctx context.Context) error {
	for {
		began := time.Now()
		n, err := p.store.ForgetLifecycle(ctx, remembered, many)
		if err != nil || n < many {
			return err
		}
		if err := p.pause(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}

// pause leaves the database to others for as long as a transaction took, and for longer if
// they are there.
func (p *Pruner) pause(ctx context.Context, took time.Duration) error {
	if p.opts.Busy() {
		took *= longPause
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(took):
		return nil
	}
}

// runJob does a job of kind RunJob. There is nothing to do where the repository or its policy
// is gone.
func (p *Pruner) runJob(ctx context.Context, job RunPayload) error {
	_, err := p.RunNow(ctx, job.Repository, false)
	if errors.Is(err, registry.ErrNameUnknown) || errors.Is(err, registry.ErrNotSet) {
		return nil
	}
	return err
}

// leaseOf is the name of the lease that a run on a repository has.
func leaseOf(repo registry.Name) string { return "lifecycle of " + string(repo) }
