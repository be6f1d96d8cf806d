package meta

import (
	"context"
	"database/sql"

	"berth/auth/token"
)

var _ token.KeyStore = (*DB)(nil)

// Keys implements [token.KeyStore].
func (db *DB) Keys(ctx context.Context) ([]token.Key, error) {
	return collect(ctx, db.run, func(rows *sql.Rows) (k token.Key, err error) {
		var created int64
		err = rows.Scan(&k.ID, &k.Private, &created)
		k.CreatedAt = fromMicros(created)
		return k, err
	}, `SELECT id, private_key, created_at FROM signing_keys ORDER BY created_at, id`)
}

// AddKey implements [token.KeyStore].
func (db *DB) AddKey(ctx context.Context, k token.Key) error {
	return db.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `INSERT INTO signing_keys (id, private_key, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			k.ID, k.Private, micros(k.CreatedAt))
		if err == nil && n == 0 {
			return token.ErrKeyExists
		}
		return err
	})
}

// DeleteKey implements [token.KeyStore].
func (db *DB) DeleteKey(ctx context.Context, id string) error {
	return db.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `DELETE FROM signing_keys WHERE id = ?`, id)
		if err == nil && n == 0 {
			return token.ErrKeyUnknown
		}
		return err
	})
}
