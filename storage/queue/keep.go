package queue

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Keep keeps a lease for as long as something is done under it, by extending it three
// times in its length d. asked is when it was asked for, so that it lasts until asked+d
// at least.
//
// The context it returns is done when ctx is, and also, with the cause ErrLeaseLost,
// as soon as somebody else may hold the lease: because extend says so, or because it
// has not succeeded for too long. stop ends the keeping; when it returns, extend is not
// being called. Until then the lease is kept even if ctx is done, for whoever needs a
// moment to end.
func Keep(ctx context.Context, asked time.Time, d time.Duration, extend func(context.Context) error) (kept context.Context, stop func()) {
	kept, cancel := context.WithCancelCause(ctx)
	lost := time.AfterFunc(time.Until(asked.Add(d)), func() { cancel(ErrLeaseLost) })
	extending, end := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() {
		ticker := time.NewTicker(d / 3)
		defer ticker.Stop()
		for {
			select {
			case <-extending.Done():
				return
			case <-ticker.C:
			}
			asked := time.Now()
			switch err := extend(extending); {
			case err == nil:
				lost.Reset(time.Until(asked.Add(d)))
			case errors.Is(err, ErrLeaseLost):
				cancel(ErrLeaseLost)
				return
			}
		}
	})
	return kept, func() {
		end()
		work.Wait()
		lost.Stop()
		cancel(nil)
	}
}
