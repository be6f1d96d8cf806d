package meta

import (
	"context"
	"database/sql"
	"time"

	"berth/auth"
	"berth/auth/accesskey"
)

var _ accesskey.Store = (*DB)(nil)

// AccessKey implements [accesskey.Store].
func (db *DB) AccessKey(ctx context.Context, id string) (accesskey.Key, error) {
	found, err := collect(ctx, db.run, scanAccessKey, selectAccessKey+` WHERE id = ?`, id)
	if err == nil && len(found) == 0 {
		err = accesskey.ErrUnknown
	}
	if err != nil {
		return accesskey.Key{}, err
	}
	return found[0], nil
}

// AccessKeys implements [accesskey.Store].
func (db *DB) AccessKeys(ctx context.Context, account string) ([]accesskey.Key, error) {
	return collect(ctx, db.run, scanAccessKey, selectAccessKey+` WHERE account = ? ORDER BY id`, account)
}

// AllAccessKeys implements [accesskey.Store].
func (db *DB) AllAccessKeys(ctx context.Context, after string, limit int) ([]accesskey.Key, error) {
	return collect(ctx, db.run, scanAccessKey, selectAccessKey+` WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
}

// CreateAccessKey implements [accesskey.Store]. Others who change accounts wait, so the
// count is that of the commit.
func (db *DB) CreateAccessKey(ctx context.Context, k accesskey.Key, limit int) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		a, err := tx.account(ctx, k.Account)
		if err == nil && a.Kind == auth.Role {
			err = auth.ErrAccountInvalid
		}
		if err != nil {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO access_keys (id, account, sealed, disabled, created_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO NOTHING`,
			k.ID, k.Account, k.Sealed, k.Disabled, micros(k.CreatedAt), optionalMicros(k.LastUsedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return accesskey.ErrExists
		}
		var keys int
		err = tx.run.get(ctx, `SELECT count(*) FROM access_keys WHERE account = ?`, []any{k.Account}, &keys)
		if err == nil && keys > limit {
			err = accesskey.ErrLimit
		}
		return err
	})
}

// SetAccessKeyDisabled implements [accesskey.Store].
func (db *DB) SetAccessKeyDisabled(ctx context.Context, id string, disabled bool) error {
	return db.changeAccessKey(ctx, `UPDATE access_keys SET disabled = ? WHERE id = ?`, disabled, id)
}

// ResealAccessKey implements [accesskey.Store].
func (db *DB) ResealAccessKey(ctx context.Context, id string, sealed []byte) error {
	return db.changeAccessKey(ctx, `UPDATE access_keys SET sealed = ? WHERE id = ?`, sealed, id)
}

// DeleteAccessKey implements [accesskey.Store].
func (db *DB) DeleteAccessKey(ctx context.Context, id string) error {
	return db.changeAccessKey(ctx, `DELETE FROM access_keys WHERE id = ?`, id)
}

// changeAccessKey runs a statement that changes one key. Errors: accesskey.ErrUnknown.
func (db *DB) changeAccessKey(ctx context.Context, statement string, args ...any) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, statement, args...)
		if err == nil && n == 0 {
			return accesskey.ErrUnknown
		}
		return err
	})
}

// UseAccessKey implements [accesskey.Store]. A use that a crash of the machine forgets
// is noted again soon.
func (db *DB) UseAccessKey(ctx context.Context, id string, at time.Time, apart time.Duration) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE access_keys SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)`,
			micros(at), id, micros(at.Add(-apart)))
		return err
	})
}

const selectAccessKey = `SELECT id, account, sealed, disabled, created_at, last_used_at FROM access_keys`

func scanAccessKey(rows *sql.Rows) (k accesskey.Key, err error) {
	var created int64
	var used *int64
	err = rows.Scan(&k.ID, &k.Account, &k.Sealed, &k.Disabled, &created, &used)
	k.CreatedAt, k.LastUsedAt = fromMicros(created), optionalTime(used)
	return k, err
}
