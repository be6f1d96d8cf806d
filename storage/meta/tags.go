package meta

import (
	"context"

	"berth/registry"
)

// Tags lists the tags of a repository after last. Errors: ErrNameUnknown.
func (q queries) Tags(ctx context.Context, repo registry.Name, last registry.Tag, limit int) ([]registry.Tag, error) {
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	return collect(ctx, q.run, scanOne[registry.Tag], `SELECT name FROM tags WHERE repository_id = ? AND name > ? ORDER BY name LIMIT ?`,
		r.ID, string(last), limit)
}

// PutTag points a tag at a manifest.
func (tx *Tx) PutTag(ctx context.Context, r Repository, t registry.Tag, manifestID int64) error {
	_, err := tx.exec(ctx, `INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at`,
		r.ID, string(t), manifestID, micros(tx.now))
	return err
}

// DeleteTag removes a tag. Errors: ErrManifestUnknown.
func (tx *Tx) DeleteTag(ctx context.Context, r Repository, t registry.Tag) error {
	n, err := tx.exec(ctx, `DELETE FROM tags WHERE repository_id = ? AND name = ?`, r.ID, string(t))
	if err == nil && n == 0 {
		return registry.ErrManifestUnknown.With("repository %q has no tag %q", r.Name, t)
	}
	return err
}
