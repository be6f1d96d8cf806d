package gc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"berth/storage/queue"
)

// DefaultGrace is how long a blob stays that nothing mentions.
const DefaultGrace = 24 * time.Hour

const (
	// batch is how many candidates go in one transaction, which takes some milliseconds.
	batch = 50

	// Beside clients a transaction is one that they do not notice, and the database is
	// theirs for most of the time.
	smallBatch = 10
	longPause  = 29 // times what the transaction took

	// look is how often something may have become due, at the most.
	look = time.Minute
)

// Options are the knobs of a [Sweeper]. The zero value works.
type Options struct {
	Grace      time.Duration // how long what nothing mentions stays; zero means DefaultGrace
	TagHistory time.Duration // how long it is told how tags have moved; zero means for ever
	Logger     *slog.Logger
	Observe    func(Swept) // if set, is told of each transaction

	// Busy, if set, reports whether clients are being served. A sweep is then in less of a
	// hurry.
	Busy func() bool
}

// Sweeper removes garbage.
type Sweeper struct {
	store Store
	opts  Options
}

// NewSweeper returns a sweeper of what is in s.
func NewSweeper(s Store, opts Options) *Sweeper {
	if opts.Grace == 0 {
		opts.Grace = DefaultGrace
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(Swept) {}
	}
	if opts.Busy == nil {
		opts.Busy = func() bool { return false }
	}
	return &Sweeper{store: s, opts: opts}
}

// Run sweeps whenever something is due, until ctx ends. Sweeps of two servers that meet do no
// harm.
func (s *Sweeper) Run(ctx context.Context, alone queue.Alone) {
	for told := false; ; {
		_, err := alone(ctx, func(ctx context.Context) error {
			if !told {
				if err := s.tell(ctx); err != nil {
					return err
				}
				told = true
			}
			_, err := s.Sweep(ctx)
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.opts.Logger.WarnContext(ctx, "garbage cannot be collected; it stays until the next attempt", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(look, s.opts.Grace/10+time.Second/10)):
		}
	}
}

// tell notes the grace, for those who want to know when something goes.
func (s *Sweeper) tell(ctx context.Context) error {
	state, err := s.store.GCState(ctx)
	if err != nil || state.Grace == s.opts.Grace {
		return err
	}
	return s.store.ChangeGCState(ctx, func(state *State) { state.Grace = s.opts.Grace })
}

// Sweep removes all that is due, unless the collection is paused or until it is. After each
// transaction it leaves the database to others for as long as the transaction took, and for
// longer if they are there.
func (s *Sweeper) Sweep(ctx context.Context) (Run, error) {
	now, err := s.store.Now(ctx)
	if err != nil {
		return Run{}, err
	}
	run := Run{Began: now}
	paused, err := s.batches(ctx, &run, func(limit int) (Swept, error) {
		return s.store.Sweep(ctx, now.Add(-s.opts.Grace), limit)
	})
	if err == nil && !paused && s.opts.TagHistory > 0 {
		_, err = s.batches(ctx, &run, func(limit int) (Swept, error) {
			return s.store.ForgetTagChanges(ctx, now.Add(-s.opts.TagHistory), limit)
		})
	}
	return run, s.end(ctx, &run, err)
}

// batches calls sweep until it finds less than it is asked for, or the collection is paused.
func (s *Sweeper) batches(ctx context.Context, run *Run, sweep func(limit int) (Swept, error)) (paused bool, err error) {
	for {
		state, err := s.store.GCState(ctx)
		if err != nil || !state.PausedAt.IsZero() {
			return true, err
		}
		limit, pause := batch, 1
		if s.opts.Busy() {
			limit, pause = smallBatch, longPause
		}
		began := time.Now()
		swept, err := sweep(limit)
		if err != nil {
			return false, err
		}
		run.add(swept)
		s.opts.Observe(swept)
		if swept.Candidates < limit {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Since(began) * time.Duration(pause)):
		}
	}
}

// end notes what a run has done, also if it was broken off for err.
func (s *Sweeper) end(ctx context.Context, run *Run, err error) error {
	if run.Candidates == 0 {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	now, clockErr := s.store.Now(ctx)
	if clockErr != nil {
		return errors.Join(err, clockErr)
	}
	run.Ended = now
	s.opts.Logger.InfoContext(ctx, "garbage collected", "blobs", run.Blobs, "bytes", run.Bytes, "links", run.Links,
		"images", run.Images, "tag_changes", run.TagChanges, "took", run.Ended.Sub(run.Began))
	return errors.Join(err, s.store.ChangeGCState(ctx, func(state *State) {
		state.Last = *run
		state.Total.add(run.Swept)
	}))
}
