package meta

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"berth/lifecycle"
	"berth/registry"
)

// LifecycleRuns implements [lifecycle.Store].
func (q queries) LifecycleRuns(ctx context.Context, repo registry.Name, before int64, limit int) ([]lifecycle.Run, error) {
	query, args := latest(`SELECT `+runColumns+` FROM lifecycle_runs`, repo, before, limit)
	return collect(ctx, q.run, scanRun, query, args...)
}

// latest makes a query of the latest rows about a repository, those before a key.
func latest(query string, repo registry.Name, before int64, limit int) (string, []any) {
	query, args := query+` WHERE repository = ?`, []any{string(repo)}
	if before != 0 {
		query, args = query+` AND id < ?`, append(args, before)
	}
	return query + ` ORDER BY id DESC LIMIT ?`, append(args, limit)
}

// LifecycleEvents implements [lifecycle.Store].
func (q queries) LifecycleEvents(ctx context.Context, repo registry.Name, before int64, limit int) ([]lifecycle.Event, error) {
	query, args := latest(`SELECT id, run_id, repository, digest, tags, rule, action, why, at FROM lifecycle_events`, repo, before, limit)
	return collect(ctx, q.run, func(rows *sql.Rows) (e lifecycle.Event, err error) {
		var tags string
		var at int64
		err = rows.Scan(&e.ID, &e.Run, &e.Repository, &e.Digest, &tags, &e.Rule, &e.Action, &e.Why, &at)
		e.At = fromMicros(at)
		return e, errors.Join(err, fromJSON(tags, &e.Tags))
	}, query, args...)
}

// ForgetLifecycle implements [lifecycle.Store].
func (db *DB) ForgetLifecycle(ctx context.Context, age time.Duration, limit int) (forgotten int, err error) {
	err = db.UpdateRelaxed(ctx, func(tx *Tx) error {
		before := micros(tx.now.Add(-age))
		events, err := tx.exec(ctx, `DELETE FROM lifecycle_events WHERE id IN
			(SELECT id FROM lifecycle_events WHERE at < ? ORDER BY at, id LIMIT ?)`, before, limit)
		if err != nil {
			return err
		}
		runs, err := tx.exec(ctx, `DELETE FROM lifecycle_runs WHERE id IN
			(SELECT id FROM lifecycle_runs WHERE began_at < ? ORDER BY began_at, id LIMIT ?)`, before, limit)
		if err != nil {
			return err
		}
		results, err := tx.clearPreview(ctx, limit)
		forgotten = int(events+runs) + results
		return err
	})
	return forgotten, err
}
