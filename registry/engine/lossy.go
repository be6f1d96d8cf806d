package engine

import (
	"context"
	"sync/atomic"
	"time"
)

// lossyFor is for how long it is remembered whether any blob is lost. Another server may have
// found one meanwhile; who is told too early that nothing is missing is told later.
const lossyFor = 5 * time.Second

// lossy remembers whether any blob is lost, which most registries can say no to, so that most
// requests need not ask.
type lossy struct {
	known atomic.Pointer[lossyKnown]
}

type lossyKnown struct {
	any   bool
	until time.Time
}

// any reports whether any blob is lost, as far as is known. If the database does not say, there
// is one: then it will be asked about the blobs in question.
func (l *lossy) any(ctx context.Context, ask func(context.Context) (bool, error)) bool {
	now := time.Now()
	if known := l.known.Load(); known != nil && now.Before(known.until) {
		return known.any
	}
	lost, err := ask(ctx)
	if err != nil {
		return true
	}
	l.known.Store(&lossyKnown{any: lost, until: now.Add(lossyFor)})
	return lost
}

// forget has the next one ask who wants to know.
func (l *lossy) forget() { l.known.Store(nil) }
