package engine

import (
	"context"

	"berth/storage/meta"
	"berth/storage/queue"
)

// Jobs are the handlers of what the engine leaves to be done later. Whoever has a
// [queue.Worker] for them, in whichever process, works for all that share the database.
func (e *Engine) Jobs() map[string]queue.Handler {
	return map[string]queue.Handler{
		meta.DeleteObject: queue.Handle(e.deleteObject),
	}
}

// DoDueJobs does the jobs that are due now, for a process that does not stay.
func (e *Engine) DoDueJobs(ctx context.Context) error {
	return queue.NewWorker(e.meta, e.Jobs(), queue.Options{Logger: e.log}).RunDue(ctx)
}

// deleteObject removes an object that no row names. Keys are used once, so none ever
// will again, and one that is gone already is no error.
func (e *Engine) deleteObject(ctx context.Context, o meta.Object) error {
	return e.blobs.Delete(ctx, o.Key)
}
