package scan

import (
	"context"
	"log/slog"
	"time"

	"berth/storage/queue"
)

// trendsEvery is how often it is looked whether the images of a repository, or what is found
// in them, have changed.
const trendsEvery = time.Hour

// TrendStore keeps trends; storage/meta implements it.
type TrendStore interface {
	// UpdateTrends brings the trends of some repositories with images that were scanned up to
	// date: up to limit, after the repository with the ID after. It says at which last; 0 if
	// there are no more. day is the beginning of the present one.
	UpdateTrends(ctx context.Context, day time.Time, after int64, limit int) (last int64, err error)
}

// Trends keeps the trends of all repositories up to date.
type Trends struct {
	Store  TrendStore
	Logger *slog.Logger
	Clock  func() time.Time // nil means time.Now
}

// Run does so until ctx ends.
func (t Trends) Run(ctx context.Context, alone queue.Alone) {
	for {
		if _, err := alone(ctx, t.Update); err != nil && ctx.Err() == nil {
			t.Logger.WarnContext(ctx, "trends of vulnerabilities cannot be brought up to date; they wait until the next attempt", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(trendsEvery):
		}
	}
}

// Update brings all trends up to date. It pauses for as long as it works.
func (t Trends) Update(ctx context.Context) error {
	now := time.Now
	if t.Clock != nil {
		now = t.Clock
	}
	const some = 10
	for last := int64(0); ; {
		began := time.Now()
		var err error
		last, err = t.Store.UpdateTrends(ctx, TrendDay(now()), last, some)
		if err != nil || last == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Since(began)):
		}
	}
}

// TrendDay is the beginning of the day of a time, UTC.
func TrendDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
