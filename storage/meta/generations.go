package meta

import (
	"context"
	"sync/atomic"
	"time"
)

// generationLife is how long a generation may be answered without looking. A change made
// through this DB is seen at once; one that another process makes, such as the
// command line beside a running server, after this time at the latest.
const generationLife = 100 * time.Millisecond

// generation is a counter of changes, of what processes remember until it moves.
type generation struct {
	name    string
	last    atomic.Pointer[reading] // nil when it has to be read
	changes atomic.Int64            // made through this DB, or heard of
}

// reading is a counter as it was read.
type reading struct {
	value  int64
	readAt time.Time
}

// read returns the counter.
func (g *generation) read(ctx context.Context, run runner) (int64, error) {
	if last := g.last.Load(); last != nil && time.Since(last.readAt) < generationLife {
		return last.value, nil
	}
	changes := g.changes.Load()
	now := &reading{readAt: time.Now()}
	err := run.get(ctx, `SELECT value FROM generations WHERE name = ?`, []any{g.name}, &now.value)
	if err != nil {
		return 0, err
	}
	g.last.Store(now)
	if g.changes.Load() != changes {
		g.last.Store(nil) // read before the change, stored after it
	}
	return now.value, nil
}

// moved is called when the counter has moved, or may have.
func (g *generation) moved() {
	g.changes.Add(1)
	g.last.Store(nil)
}

// move moves a counter. It comes first in a transaction, because it makes others wait who
// change the same.
func (tx *Tx) move(ctx context.Context, name string) error {
	_, err := tx.exec(ctx, `UPDATE generations SET value = value + 1 WHERE name = ?`, name)
	return err
}
