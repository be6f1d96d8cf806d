package meta

import (
	"context"

	"github.com/opencontainers/go-digest"
)

// ArchiveManifest keeps an image from being pulled, and reports whether that is new. What
// belongs to the image is for the caller to archive.
func (tx *Tx) ArchiveManifest(ctx context.Context, r Repository, d digest.Digest) (archived bool, err error) {
	n, err := tx.exec(ctx, `UPDATE manifests SET archived = TRUE, archived_at = ? WHERE repository_id = ? AND digest = ? AND NOT archived`,
		micros(tx.now), r.ID, string(d))
	return n == 1, err
}

// ActivateManifest takes ArchiveManifest back, and reports whether there was anything to take
// back.
func (tx *Tx) ActivateManifest(ctx context.Context, r Repository, d digest.Digest) (activated bool, err error) {
	n, err := tx.exec(ctx, `UPDATE manifests SET archived = FALSE, activated_at = ? WHERE repository_id = ? AND digest = ? AND archived`,
		micros(tx.now), r.ID, string(d))
	return n == 1, err
}

// ActiveIndexes lists the indexes that list an image and are not archived.
func (q queries) ActiveIndexes(ctx context.Context, r Repository, d digest.Digest) ([]digest.Digest, error) {
	return collect(ctx, q.run, scanOne[digest.Digest], `SELECT m.digest FROM manifest_children e JOIN manifests m ON m.id = e.manifest_id
		WHERE e.repository_id = ? AND e.digest = ? AND NOT m.archived`, r.ID, string(d))
}

// Dependents lists the images that go where an image goes: what it lists if it is an index,
// and what has it as its subject.
func (q queries) Dependents(ctx context.Context, r Repository, d digest.Digest) ([]digest.Digest, error) {
	listed, err := collect(ctx, q.run, scanOne[digest.Digest], `SELECT e.digest FROM manifests m JOIN manifest_children e ON e.manifest_id = m.id
		JOIN manifests c ON c.repository_id = m.repository_id AND c.digest = e.digest
		WHERE m.repository_id = ? AND m.digest = ?`, r.ID, string(d))
	if err != nil {
		return nil, err
	}
	referrers, err := q.referrerDigests(ctx, r, d)
	return append(listed, referrers...), err
}

// referrerDigests lists the images that have one as their subject.
func (q queries) referrerDigests(ctx context.Context, r Repository, d digest.Digest) ([]digest.Digest, error) {
	return collect(ctx, q.run, scanOne[digest.Digest], `SELECT digest FROM manifests
		WHERE repository_id = ? AND subject = ? AND subject <> ''`, r.ID, string(d))
}
