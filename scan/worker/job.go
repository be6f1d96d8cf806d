package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"berth/scan"
	"berth/scan/remote"
	"berth/storage/queue"
)

// do does a job and reports how it ended, unless ctx ends or the lease is lost. Errors are
// those that the next job would meet too.
func (s *slot) do(ctx context.Context, job scan.Job) error {
	log := s.opts.Logger.With("repository", job.Repository, "digest", job.Digest, "attempt", job.Attempt)
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	token := &jobToken{token: job.Token}
	var extending sync.WaitGroup
	extending.Go(func() { s.extend(ctx, cancel, job, token) })
	defer extending.Wait()
	defer cancel(nil)

	o, err := s.look(ctx, job, token)
	if ctx.Err() != nil {
		s.drop()
		log.Warn("a job was left to others", "reason", context.Cause(ctx))
		return nil
	}
	if err != nil {
		o.Failure = failureOf(err)
	}
	took := time.Since(began).Round(time.Millisecond)
	err = s.report(ctx, job, &o)
	switch {
	case err == nil && o.Failure != nil:
		log.Warn("image not scanned", "reason", o.Failure.Reason, "permanent", o.Failure.Permanent, "unsupported", o.Failure.Unsupported, "took", took)
	case err == nil:
		log.Info("image scanned", "inventory", o.Inventory != nil, "matched", o.Findings != nil, "packages", o.Packages, "findings", len(o.Findings), "took", took)
	case errors.Is(err, queue.ErrLeaseLost):
		err = nil
		log.Warn("what was found in an image is not wanted any more, or has arrived already", "took", took)
	case ctx.Err() != nil:
		err = nil
		log.Warn("what was found in an image could not be reported, and the job is left to others", "reason", context.Cause(ctx), "took", took)
	}
	if s.spent {
		s.drop()
	}
	return err
}

// look has the engine look at the image of a job.
func (s *slot) look(ctx context.Context, job scan.Job, token *jobToken) (outcome, error) {
	if job.Match {
		// There may be a database since this minute, and it may be why there is this job.
		if err := s.keeper.refresh(ctx, scan.Vulnerabilities); err != nil {
			s.opts.Logger.Debug("newer databases could not be looked for", "error", err)
		}
	}
	if err := s.prepare(ctx); err != nil {
		return outcome{}, err
	}
	order := jobOrder{Registry: s.opts.Registry, Repository: job.Repository, Digest: job.Digest, Match: job.Match}
	if job.HasInventory {
		var err error
		if order.Inventory, err = s.opts.Client.Inventory(ctx, job); err != nil {
			return outcome{}, err
		}
	}
	before := s.child.files()
	order.Token = token.give(s.child)
	defer token.give(nil)
	limited, cancel := context.WithTimeoutCause(ctx, s.opts.Limits.Time, &limitError{s.opts.Limits.timeReason()})
	defer cancel()
	o, err := s.child.do(limited, order)
	if err != nil {
		s.drop()
		return outcome{}, err
	}
	if s.child.files() > before {
		s.opts.Logger.Debug("the engine has left files behind and is replaced", "digest", job.Digest)
		s.spent = true
	}
	return o, nil
}

// failureOf is what the registry is told of an error.
func failureOf(err error) *scan.Failure {
	var limit *limitError
	return &scan.Failure{Reason: plain(err), Permanent: errors.As(err, &limit)}
}

// report tells the registry how a job ended, for as long as the lease lasts. A result that
// the registry does not take becomes a failure.
func (s *slot) report(ctx context.Context, job scan.Job, o *outcome) error {
	for {
		err := s.tell(ctx, job, *o)
		var refused *remote.Refused
		switch {
		case errors.As(err, &refused) && o.Failure == nil:
			o.Failure = &scan.Failure{Reason: "the registry does not take what was found: " + refused.Message, Permanent: true}
		case remote.Away(err) && ctx.Err() == nil:
		default:
			return err
		}
	}
}

func (s *slot) tell(ctx context.Context, job scan.Job, o outcome) error {
	if o.Failure != nil {
		return s.opts.Client.Failure(ctx, job, *o.Failure)
	}
	r := scan.Result{
		Digest: job.Digest, Scanner: s.child.name,
		OS: o.OS, Inventory: o.Inventory, Packages: o.Packages, Findings: o.Findings,
	}
	if o.Findings != nil {
		r.Database = s.child.open[scan.Vulnerabilities].Digest
	}
	return s.opts.Client.Result(ctx, job, r)
}

// extend keeps the lease of a job until ctx ends, and cancels it when the lease is lost.
func (s *slot) extend(ctx context.Context, cancel context.CancelCauseFunc, job scan.Job, token *jobToken) {
	length := job.Expires
	for until := time.Now().Add(length); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(length / 3):
		}
		asked := time.Now()
		within, stop := context.WithDeadline(ctx, until)
		e, err := s.opts.Client.Extend(within, job)
		stop()
		switch {
		case err == nil:
			length, until = e.Expires, asked.Add(e.Expires)
			token.set(e.Token)
		case errors.Is(err, queue.ErrLeaseLost) || !time.Now().Before(until):
			cancel(errLost)
			return
		case ctx.Err() == nil:
			s.opts.Logger.Warn("a lease could not be extended; it is tried again", "error", plain(err), "left", time.Until(until))
			length = min(length, time.Until(until))
		}
	}
}

// jobToken is the token of a job, which changes while an engine is at it.
type jobToken struct {
	mu    sync.Mutex
	token string
	child *child // that has to be told; nil for none
}

// give returns the token, for an engine that will be told of others.
func (t *jobToken) give(c *child) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.child = c
	return t.token
}

func (t *jobToken) set(token string) {
	t.mu.Lock()
	t.token = token
	c := t.child
	t.mu.Unlock()
	if c != nil && token != "" {
		c.token(token)
	}
}
