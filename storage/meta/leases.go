package meta

import (
	"context"
	"math/rand/v2"
	"time"

	"berth/storage/queue"
)

// WithLease calls do while it holds the lease of a name, which nobody else then holds, in
// this process or in others that use the database. held is false if somebody does:
// then do is not called.
//
// The lease is kept for as long as do runs; d after this process has died or been cut
// off, it can be had by another. Should that happen to one that only stood still, the
// context of do is done, with the cause [queue.ErrLeaseLost]. Between the loss and that
// there may be a moment in which both believe to be alone, so do should do nothing that
// would be wrong if done twice.
func (db *DB) WithLease(ctx context.Context, name string, d time.Duration, do func(context.Context) error) (held bool, err error) {
	asked, holder := time.Now(), rand.Int64()
	if held, err = db.takeLease(ctx, name, holder, d); err != nil || !held {
		return false, err
	}
	kept, stop := queue.Keep(ctx, asked, d, func(ctx context.Context) error {
		return db.settle(ctx, `UPDATE leases SET expires_at = `+db.dialect.clock()+` + ? WHERE name = ? AND holder = ?`,
			d.Microseconds(), name, holder)
	})
	defer func() {
		stop()
		// If this fails, the lease runs out.
		db.settle(context.WithoutCancel(ctx), `DELETE FROM leases WHERE name = ? AND holder = ?`, name, holder)
	}()
	return true, do(kept)
}

func (db *DB) takeLease(ctx context.Context, name string, holder int64, d time.Duration) (taken bool, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, `+tx.dialect.clock()+` + ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
			WHERE leases.expires_at <= `+tx.dialect.clock(), name, holder, d.Microseconds())
		taken = n == 1
		return err
	})
	return taken && err == nil, err
}
