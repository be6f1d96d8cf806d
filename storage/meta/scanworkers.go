package meta

import (
	"context"
	"database/sql"
	"time"

	"berth/scan"
)

// workersKept is after how long a worker is forgotten that was not seen.
const workersKept = 24 * time.Hour

// NoteWorker implements [scan.Store].
func (db *DB) NoteWorker(ctx context.Context, w scan.Worker) error {
	said, err := toJSON(w, false)
	if err != nil {
		return err
	}
	return db.UpdateRelaxed(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO scan_workers (name, said, seen_at) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET said = excluded.said, seen_at = excluded.seen_at`, w.Name, said, micros(tx.now))
		if err == nil {
			_, err = tx.exec(ctx, `DELETE FROM scan_workers WHERE seen_at < ?`, micros(tx.now.Add(-workersKept)))
		}
		return err
	})
}

// Workers implements [scan.Store].
func (db *DB) Workers(ctx context.Context, within time.Duration) ([]scan.Worker, error) {
	return collect(ctx, db.run, func(rows *sql.Rows) (w scan.Worker, err error) {
		var said string
		var seen int64
		if err := rows.Scan(&said, &seen); err != nil {
			return w, err
		}
		err = fromJSON(said, &w)
		w.SeenAt = fromMicros(seen)
		return w, err
	}, `SELECT said, seen_at FROM scan_workers WHERE seen_at >= ? ORDER BY name`, micros(db.now().Add(-within)))
}
