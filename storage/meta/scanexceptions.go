package meta

import (
	"context"
	"database/sql"
	"time"

	"berth/scan"
)

const selectException = `SELECT id, vulnerability, package, repository, reason, author, created_at, expires_at FROM scan_exceptions`

func scanException(rows *sql.Rows) (x scan.Exception, err error) {
	var created int64
	var expires *int64
	err = rows.Scan(&x.ID, &x.Vulnerability, &x.Package, &x.Repository, &x.Reason, &x.Author, &created, &expires)
	x.CreatedAt, x.ExpiresAt = fromMicros(created), optionalTime(expires)
	return x, err
}

// ExceptionsInForce implements [scan.RuleStore].
func (db *DB) ExceptionsInForce(ctx context.Context) ([]scan.Exception, error) {
	return collect(ctx, db.run, scanException, selectException+` WHERE expires_at IS NULL OR expires_at > ? ORDER BY id`, micros(db.now()))
}

// Exceptions lists exceptions after one, those that have expired too.
func (q queries) Exceptions(ctx context.Context, after int64, limit int) ([]scan.Exception, error) {
	return collect(ctx, q.run, scanException, selectException+` WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
}

// AddException adds an exception and returns it with its ID.
func (db *DB) AddException(ctx context.Context, x scan.Exception) (scan.Exception, error) {
	err := db.updateRules(ctx, func(tx *Tx) error {
		x.CreatedAt = tx.now.UTC().Truncate(time.Microsecond)
		return tx.run.get(ctx, `INSERT INTO scan_exceptions (vulnerability, package, repository, reason, author, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			[]any{x.Vulnerability, x.Package, x.Repository, x.Reason, x.Author, micros(tx.now), optionalMicros(x.ExpiresAt)}, &x.ID)
	})
	return x, err
}

// DeleteException removes an exception and returns what it was.
// Errors: scan.ErrExceptionUnknown.
func (db *DB) DeleteException(ctx context.Context, id int64) (x scan.Exception, err error) {
	err = db.updateRules(ctx, func(tx *Tx) error {
		found, err := collect(ctx, tx.run, scanException, `DELETE FROM scan_exceptions WHERE id = ?
			RETURNING id, vulnerability, package, repository, reason, author, created_at, expires_at`, id)
		if err == nil && len(found) == 0 {
			err = scan.ErrExceptionUnknown
		}
		if err == nil {
			x = found[0]
		}
		return err
	})
	return x, err
}
