package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Options are the knobs of a [Worker]. The zero value works.
type Options struct {
	Concurrency int           // handlers that run at once; zero means 4
	Lease       time.Duration // how long after its death another worker takes over; zero means a minute
	Poll        time.Duration // how often to look although nobody has called; zero means 2 s

	// Backoff is how long to wait after the given number of attempts; nil means
	// [Backoff].
	Backoff func(attempts int) time.Duration

	Logger *slog.Logger

	// Observe, if set, is told how each attempt has ended.
	Observe func(kind string, o Outcome, took time.Duration)
}

// Outcome is how an attempt at a job has ended.
type Outcome string

// Interrupted attempts do not count: the worker ended, or its lease was lost. Nor do
// postponed ones: the handler said [Later].
const (
	Done        Outcome = "done"
	Retried     Outcome = "retried"
	Postponed   Outcome = "postponed"
	GivenUp     Outcome = "given-up"
	Interrupted Outcome = "interrupted"
)

// Backoff doubles from 2 seconds to an hour, less up to a half of it by chance, so that
// what failed together is not tried again together.
func Backoff(attempts int) time.Duration {
	d := time.Hour
	if attempts < 12 {
		d = min(d, time.Second<<max(attempts, 1))
	}
	return d - rand.N(d/2)
}

// Worker does jobs.
type Worker struct {
	store    Store
	handlers map[string]Handler
	kinds    []string
	opts     Options
}

// NewWorker returns a worker that does jobs of these kinds and leaves others alone.
func NewWorker(s Store, handlers map[string]Handler, opts Options) *Worker {
	if opts.Concurrency == 0 {
		opts.Concurrency = 4
	}
	if opts.Lease == 0 {
		opts.Lease = time.Minute
	}
	if opts.Poll == 0 {
		opts.Poll = 2 * time.Second
	}
	if opts.Backoff == nil {
		opts.Backoff = Backoff
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(string, Outcome, time.Duration) {}
	}
	return &Worker{store: s, handlers: handlers, kinds: slices.Sorted(maps.Keys(handlers)), opts: opts}
}

// Run does jobs until ctx ends, then waits for its handlers. What they leave undone is
// due again at once, for other workers or the next Run.
func (w *Worker) Run(ctx context.Context) {
	crew := newCrew(w.opts.Concurrency)
	defer crew.wait()
	pause := w.opts.Poll
	for crew.enter(ctx) {
		due := w.store.JobsDue() // before looking, so that nothing is missed in between
		err := w.begin(ctx, crew)
		if err == nil {
			continue
		}
		if errors.Is(err, ErrNothingDue) {
			pause = w.opts.Poll
		} else if ctx.Err() == nil {
			w.opts.Logger.WarnContext(ctx, "jobs cannot be looked for; they wait", "error", err)
			pause = min(2*pause, time.Minute)
			due = nil // a database that is down is not asked more often for being written to
		}
		select {
		case <-ctx.Done():
		case <-due:
		case <-time.After(pause):
		}
	}
}

// RunDue does jobs until none is due, and waits for its handlers.
func (w *Worker) RunDue(ctx context.Context) error {
	crew := newCrew(w.opts.Concurrency)
	defer crew.wait()
	for begun := false; crew.enter(ctx); {
		switch err := w.begin(ctx, crew); {
		case err == nil:
			begun = true
		case !errors.Is(err, ErrNothingDue):
			return err
		case !begun:
			return nil
		default:
			crew.wait() // what has been done may have left more to do
			begun = false
		}
	}
	return context.Cause(ctx)
}

// begin leases a job and does it in the background. The caller has entered the crew; its
// place is left when the job has ended, or at once if there is an error.
func (w *Worker) begin(ctx context.Context, crew *crew) error {
	asked := time.Now()
	j, err := w.store.LeaseJob(ctx, w.kinds, w.opts.Lease)
	if err != nil {
		crew.leave()
		return err
	}
	go func() {
		defer crew.leave()
		w.do(ctx, j, asked)
	}()
	return nil
}

// do does a leased job and says how it has ended.
func (w *Worker) do(ctx context.Context, j Job, asked time.Time) {
	began := time.Now()
	err, interrupted := w.attempt(ctx, j, asked)
	outcome := w.outcome(j, err, interrupted)
	w.opts.Observe(j.Kind, outcome, time.Since(began))
	// The worker may be ending, and this is what it waits for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	log := w.opts.Logger.With("job", j.ID, "kind", j.Kind, "attempts", j.Attempts)
	switch outcome {
	case Done:
		err = w.store.FinishJob(ctx, j)
	case Interrupted:
		err = w.store.ReleaseJob(ctx, j)
	case Retried:
		pause := w.opts.Backoff(j.Attempts)
		log.WarnContext(ctx, "a job has failed and will be tried again", "in", pause, "error", err)
		err = w.store.RetryJob(ctx, j, pause, reason(err))
	case Postponed:
		pause := isLater(err).pause
		log.DebugContext(ctx, "a job is put off", "in", pause, "reason", err)
		err = w.store.PostponeJob(ctx, j, pause, reason(err))
	case GivenUp:
		log.ErrorContext(ctx, "a job has been given up; berth jobs retry has it tried again", "error", err)
		err = w.store.GiveUpJob(ctx, j, reason(err))
	}
	if err != nil {
		log.WarnContext(ctx, "a job may be done once more", "outcome", outcome, "error", err)
	}
}

func (w *Worker) outcome(j Job, err error, interrupted bool) Outcome {
	switch {
	case err == nil:
		return Done
	case interrupted:
		return Interrupted
	case isLater(err) != nil:
		return Postponed
	case isPermanent(err), j.Attempts >= w.handlers[j.Kind].attempts():
		return GivenUp
	}
	return Retried
}

// attempt calls the handler. interrupted says that an error may be none of its own.
func (w *Worker) attempt(ctx context.Context, j Job, asked time.Time) (err error, interrupted bool) {
	h := w.handlers[j.Kind]
	if j.Attempts > h.attempts() {
		// Not even the failure of the last attempt was noted: its worker has died.
		return Permanent(fmt.Errorf("its worker has died, or stood still, the last of %d times; before that: %s", j.Attempts-1, j.Reason)), false
	}
	kept, stop := Keep(ctx, asked, w.opts.Lease, func(ctx context.Context) error {
		return w.store.ExtendJob(ctx, j, w.opts.Lease)
	})
	defer stop()
	err = w.call(kept, h, j)
	return err, kept.Err() != nil
}

// call makes an error of a panic.
func (w *Worker) call(ctx context.Context, h Handler, j Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.opts.Logger.ErrorContext(ctx, "a handler has panicked", "job", j.ID, "kind", j.Kind, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return h.Do(ctx, j)
}

// crew bounds what is done at the same time.
type crew struct {
	places chan struct{}
	work   sync.WaitGroup
}

func newCrew(size int) *crew { return &crew{places: make(chan struct{}, size)} }

// enter waits for a place; it is false if ctx is done.
func (c *crew) enter(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case c.places <- struct{}{}:
		c.work.Add(1)
		return true
	}
}

func (c *crew) leave() {
	<-c.places
	c.work.Done()
}

// wait waits until all have left.
func (c *crew) wait() { c.work.Wait() }
