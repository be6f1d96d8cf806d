package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"berth/storage/meta"
	"berth/storage/queue"
)

// Jobs are the handlers of what the engine leaves to be done later. Whoever has a
// [queue.Worker] for them, in whichever process, works for all that share the database.
func (e *Engine) Jobs() map[string]queue.Handler {
	return map[string]queue.Handler{
		meta.DeleteObjects: {Do: e.unlessHeld(queue.Handle(e.deleteObjects))},
	}
}

// DoDueJobs does the jobs that are due now, for a process that does not stay.
func (e *Engine) DoDueJobs(ctx context.Context) error {
	return queue.NewWorker(e.meta, e.Jobs(), queue.Options{Logger: e.log}).RunDue(ctx)
}

// maxHeld is after how long a removal that waits for a hold looks again by itself. When a
// hold is released it is woken, unless it was looking at just that moment.
const maxHeld = 24 * time.Hour

// unlessHeld puts a removal off for as long as a backup needs the object.
func (e *Engine) unlessHeld(h queue.Handler) func(context.Context, queue.Job) error {
	return func(ctx context.Context, j queue.Job) error {
		hold, held, err := e.meta.Held(ctx, j.CreatedAt)
		if err != nil {
			return err
		}
		if !held {
			return h.Do(ctx, j)
		}
		wait := maxHeld
		if !hold.ExpiresAt.IsZero() {
			// Our clock need not be that of the database.
			wait = min(max(time.Until(hold.ExpiresAt), time.Minute), maxHeld)
		}
		return queue.Later(wait, "held for "+hold.Name)
	}
}

// deleters is how many objects of one job are removed at a time. A bucket answers each
// after some milliseconds.
const deleters = 8

// deleteObjects removes objects that no row names. Keys are used once, so none ever will
// again, and one that is gone already is no error.
func (e *Engine) deleteObjects(ctx context.Context, o meta.Objects) error {
	var work sync.WaitGroup
	errs := make([]error, deleters)
	for i := range deleters {
		work.Go(func() {
			for n := i; n < len(o.Keys) && errs[i] == nil; n += deleters {
				errs[i] = e.blobs.Delete(ctx, o.Keys[n])
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}
