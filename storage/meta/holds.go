package meta

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// A backup names objects that stay where they are. What the registry forgets after it was
// made must not go, or nothing could be made of it any more. A hold says so: the objects
// that had a name when it was made stay until it is released or expires.
//
// Nobody keeps a list of these objects. An object has a name from the transaction that
// publishes it to the one that enqueues its removal (see [Tx.DeleteObjects]), so the
// backup needs it only if the hold was made before that.

// Hold keeps the objects that a backup without objects needs.
type Hold struct {
	Name      string // that of the backup
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// ErrHoldUnknown is answered for a hold that has been released, has expired or never was.
var ErrHoldUnknown = errors.New("no such hold")

// holdMargin is by how much a removal may seem to be older than a snapshot that does not
// see it: a transaction notes the time in its middle, and is seen only when it has ended.
const holdMargin = 3 * queryTimeout

// AddHold makes a hold, which ends by itself after d; zero means never. A [DB.Snapshot]
// that begins afterwards names no object that the hold does not keep.
func (db *DB) AddHold(ctx context.Context, name string, d time.Duration) error {
	return db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM holds WHERE expires_at <= `+tx.dialect.clock()); err != nil {
			return err
		}
		expires, args := "NULL", []any{name}
		if d > 0 {
			expires, args = tx.dialect.clock()+" + ?", append(args, d.Microseconds())
		}
		_, err := tx.exec(ctx, `INSERT INTO holds (name, created_at, expires_at) VALUES (?, `+tx.dialect.clock()+`, `+expires+`)`, args...)
		return err
	})
}

// ReleaseHold ends a hold. The removals that have waited for it, or for another one, look
// again. Errors: ErrHoldUnknown.
func (db *DB) ReleaseHold(ctx context.Context, name string) error {
	return db.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `DELETE FROM holds WHERE name = ?`, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrHoldUnknown
		}
		_, err = tx.exec(ctx, `UPDATE jobs SET due_at = `+tx.dialect.clock()+`
			WHERE kind = ? AND state = 'waiting' AND due_at > `+tx.dialect.clock(), DeleteObjects)
		if err != nil {
			return err
		}
		return tx.jobsDue(ctx)
	})
}

// Holds lists the holds, the oldest first.
func (q queries) Holds(ctx context.Context) ([]Hold, error) {
	return collect(ctx, q.run, scanHold, `SELECT name, created_at, expires_at FROM holds
		WHERE expires_at IS NULL OR expires_at > `+q.dialect.clock()+` ORDER BY created_at, name`)
}

// Held reports whether a hold keeps an object that lost its last name at the time
// unnamed, by the database's clock; [queue.Job.CreatedAt] is such a time. by is the hold,
// and of several the one that lasts longest.
//
// Handlers of DeleteObjects ask it, so whoever has an object removed through
// [Tx.DeleteObjects] need not know of holds.
func (q queries) Held(ctx context.Context, unnamed time.Time) (by Hold, held bool, err error) {
	found, err := collect(ctx, q.run, scanHold, `SELECT name, created_at, expires_at FROM holds
		WHERE created_at <= ? AND (expires_at IS NULL OR expires_at > `+q.dialect.clock()+`)
		ORDER BY expires_at IS NOT NULL, expires_at DESC LIMIT 1`, micros(unnamed.Add(holdMargin)))
	if err != nil || len(found) == 0 {
		return Hold{}, false, err
	}
	return found[0], true, nil
}

func scanHold(rows *sql.Rows) (h Hold, err error) {
	var created int64
	var expires *int64
	err = rows.Scan(&h.Name, &created, &expires)
	h.CreatedAt, h.ExpiresAt = fromMicros(created), optionalTime(expires)
	return h, err
}
