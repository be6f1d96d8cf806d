package meta

import (
	"context"
	"database/sql"
	"time"

	"berth/registry"
)

// touchLayers is how much later than it was used a layer may be noted to have been: what is
// asked for often is not written each time.
const touchLayers = time.Hour

// MissingLayers implements [scan.Store].
func (db *DB) MissingLayers(ctx context.Context, keys []string) ([]string, error) {
	there := map[string]bool{}
	var stale []string
	now := db.now()
	err := inPortions(keys, func(list string, args []any) error {
		return db.run.query(ctx, func(rows *sql.Rows) error {
			var key string
			var used int64
			err := rows.Scan(&key, &used)
			there[key] = true
			if now.Sub(fromMicros(used)) > touchLayers {
				stale = append(stale, key)
			}
			return err
		}, `SELECT layer_key, used_at FROM scan_layers WHERE layer_key IN (`+list+`)`, args...)
	})
	if err != nil {
		return nil, err
	}
	missing := []string{}
	for _, key := range keys {
		if !there[key] {
			missing = append(missing, key)
		}
	}
	if len(stale) == 0 {
		return missing, nil
	}
	return missing, db.UpdateRelaxed(ctx, func(tx *Tx) error {
		for _, key := range stale {
			if _, err := tx.exec(ctx, `UPDATE scan_layers SET used_at = ? WHERE layer_key = ?`, micros(tx.now), key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Layer implements [scan.Store]. Who reads it has asked first whether it is there, so that is
// when it was used.
func (db *DB) Layer(ctx context.Context, key string) (content []byte, err error) {
	err = db.run.get(ctx, `SELECT content FROM scan_layers WHERE layer_key = ?`, []any{key}, &content)
	if isNone(err) {
		err = registry.ErrNotSet.With("nothing is kept of the layer %s", registry.Clip(key))
	}
	return content, err
}

// PutLayer implements [scan.Store].
func (db *DB) PutLayer(ctx context.Context, key string, content []byte) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO scan_layers (layer_key, content, size, used_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (layer_key) DO UPDATE SET content = excluded.content, size = excluded.size, used_at = excluded.used_at`,
			key, content, len(content), micros(tx.now))
		return err
	})
}

// ForgetLayers implements [scan.Store].
func (db *DB) ForgetLayers(ctx context.Context, age time.Duration, size int64, limit int) (forgotten int, err error) {
	err = db.UpdateRelaxed(ctx, func(tx *Tx) error {
		forgotten = 0
		var all int64
		if err := tx.run.get(ctx, `SELECT coalesce(sum(size), 0) FROM scan_layers`, nil, &all); err != nil {
			return err
		}
		type layer struct {
			key        string
			size, used int64
		}
		oldest, err := collect(ctx, tx.run, func(rows *sql.Rows) (l layer, err error) {
			return l, rows.Scan(&l.key, &l.size, &l.used)
		}, `SELECT layer_key, size, used_at FROM scan_layers ORDER BY used_at, layer_key LIMIT ?`, limit)
		if err != nil {
			return err
		}
		before := micros(tx.now.Add(-age))
		for _, l := range oldest {
			if l.used >= before && all <= size {
				break
			}
			if _, err := tx.exec(ctx, `DELETE FROM scan_layers WHERE layer_key = ?`, l.key); err != nil {
				return err
			}
			all -= l.size
			forgotten++
		}
		return nil
	})
	return forgotten, err
}
