package meta

import (
	"context"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Tags lists the tags of a repository after last, but for those of archived images.
// Errors: ErrNameUnknown.
func (q queries) Tags(ctx context.Context, repo registry.Name, last registry.Tag, limit int) ([]registry.Tag, error) {
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	return collect(ctx, q.run, scanOne[registry.Tag], `SELECT t.name FROM tags t JOIN manifests m ON m.id = t.manifest_id
		WHERE t.repository_id = ? AND t.name > ? AND NOT m.archived ORDER BY t.name LIMIT ?`,
		r.ID, string(last), limit)
}

// PutTag points a tag at a manifest, and notes it if that is new. A tag that is there already
// stays where it is if the repository says so. Errors: ErrTagFixed.
func (tx *Tx) PutTag(ctx context.Context, r Repository, t registry.Tag, manifestID int64, d digest.Digest) error {
	for {
		var on int64
		var was digest.Digest
		var n int64
		err := tx.run.get(ctx, `SELECT t.manifest_id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
			WHERE t.repository_id = ? AND t.name = ?`, []any{r.ID, string(t)}, &on, &was)
		switch {
		case isNone(err):
			n, err = tx.exec(ctx, `INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (repository_id, name) DO NOTHING`, r.ID, string(t), manifestID, micros(tx.now))
		case err != nil || on == manifestID:
			return err
		case r.Mutability.Fixed(t):
			return registry.TagFixed(r.Name, t)
		default:
			n, err = tx.exec(ctx, `UPDATE tags SET manifest_id = ?, updated_at = ? WHERE repository_id = ? AND name = ? AND manifest_id = ?`,
				manifestID, micros(tx.now), r.ID, string(t), on)
		}
		if err != nil {
			return err
		}
		if n == 1 {
			return tx.noteTag(ctx, r, t, was, d)
		} // else somebody else has put or deleted it since we looked
	}
}

// DeleteTag removes a tag. Errors: ErrManifestUnknown.
func (tx *Tx) DeleteTag(ctx context.Context, r Repository, t registry.Tag) error {
	var id int64
	err := tx.run.get(ctx, `DELETE FROM tags WHERE repository_id = ? AND name = ? RETURNING manifest_id`, []any{r.ID, string(t)}, &id)
	if isNone(err) {
		return registry.ErrManifestUnknown.With("repository %q has no tag %q", r.Name, t)
	}
	var was digest.Digest
	if err == nil {
		err = tx.run.get(ctx, `SELECT digest FROM manifests WHERE id = ?`, []any{id}, &was)
	}
	if err != nil {
		return err
	}
	return tx.noteTag(ctx, r, t, was, "")
}
