package meta

import (
	"context"
	"database/sql"

	"berth/auth"
	"berth/registry"
)

// Resource implements [auth.Store].
func (db *DB) Resource(ctx context.Context, repo registry.Name) (auth.ResourceRules, error) {
	r := auth.ResourceRules{Repository: repo}
	var tags string
	err := db.run.get(ctx, `SELECT coalesce((SELECT policy FROM repositories WHERE name = ?), ''),
		coalesce((SELECT resource_tags FROM repositories WHERE name = ?), ''),
		coalesce((SELECT value FROM settings WHERE name = ?), '')`,
		[]any{string(repo), string(repo), string(registry.RegistryPolicySetting)}, &r.Policy, &tags, &r.Registry)
	if err == nil {
		err = fromJSON(tags, &r.Tags)
	}
	return r, err
}

// Resources implements [auth.Store].
func (db *DB) Resources(ctx context.Context, after registry.Name, limit int, tagged bool) ([]auth.ResourceRules, error) {
	have := `policy <> ''`
	if tagged {
		have = `(policy <> '' OR resource_tags <> '')` // as the index has it
	}
	return collect(ctx, db.run, scanResource, `SELECT name, policy, resource_tags FROM repositories
		WHERE name > ? AND `+have+` ORDER BY name LIMIT ?`, string(after), limit)
}

func scanResource(rows *sql.Rows) (r auth.ResourceRules, err error) {
	var tags string
	if err := rows.Scan(&r.Repository, &r.Policy, &tags); err != nil {
		return r, err
	}
	return r, fromJSON(tags, &r.Tags)
}
