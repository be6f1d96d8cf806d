package meta

import (
	"context"
	"database/sql"

	"berth/registry"
)

// Setting returns a setting of the registry, empty if nothing was said.
func (q queries) Setting(ctx context.Context, name registry.Setting) (string, error) {
	var value string
	err := q.run.get(ctx, `SELECT value FROM settings WHERE name = ?`, []any{string(name)}, &value)
	if isNone(err) {
		return "", nil
	}
	return value, err
}

// PutSetting replaces a setting. Empty says nothing.
func (tx *Tx) PutSetting(ctx context.Context, name registry.Setting, value string) error {
	if value == "" {
		_, err := tx.exec(ctx, `DELETE FROM settings WHERE name = ?`, string(name))
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO settings (name, value, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
		string(name), value, micros(tx.now))
	return err
}

// PullTimeExclusions lists those whose pulls do not count, after last.
func (q queries) PullTimeExclusions(ctx context.Context, last string, limit int) ([]registry.PullTimeExclusion, error) {
	return collect(ctx, q.run, func(rows *sql.Rows) (x registry.PullTimeExclusion, err error) {
		var created int64
		err = rows.Scan(&x.Principal, &created)
		x.CreatedAt = fromMicros(created)
		return x, err
	}, `SELECT principal, created_at FROM pull_time_exclusions WHERE principal > ? ORDER BY principal LIMIT ?`, last, limit)
}

// ExcludePullTime adds one. Errors: ErrNameTaken, ErrLimitExceeded.
func (tx *Tx) ExcludePullTime(ctx context.Context, principal string, limit int) (registry.PullTimeExclusion, error) {
	x := registry.PullTimeExclusion{Principal: principal, CreatedAt: tx.now}
	all, err := tx.PullTimeExclusions(ctx, "", limit)
	if err != nil {
		return x, err
	}
	for _, other := range all {
		if other.Principal == principal {
			return x, registry.ErrNameTaken
		}
	}
	if len(all) == limit {
		return x, registry.ErrLimitExceeded
	}
	_, err = tx.exec(ctx, `INSERT INTO pull_time_exclusions (principal, created_at) VALUES (?, ?)`, principal, micros(tx.now))
	return x, err
}

// IncludePullTime removes one. Errors: ErrNotSet.
func (tx *Tx) IncludePullTime(ctx context.Context, principal string) error {
	n, err := tx.exec(ctx, `DELETE FROM pull_time_exclusions WHERE principal = ?`, principal)
	if err == nil && n == 0 {
		return registry.ErrNotSet
	}
	return err
}
