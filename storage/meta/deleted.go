package meta

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// keepDeleted records what it takes to restore a manifest that is about to be deleted. Of one
// that was deleted before, the last time counts.
func (tx *Tx) keepDeleted(ctx context.Context, r Repository, id int64, d digest.Digest) error {
	tags, err := tx.ImageTags(ctx, r, d)
	if err != nil {
		return err
	}
	text, err := toJSON(tags, len(tags) == 0)
	if err != nil {
		return err
	}
	lacks, err := tx.absent(ctx, r, id)
	if err != nil {
		return err
	}
	absent, err := toJSON(lacks, len(lacks) == 0)
	if err != nil {
		return err
	}
	cause := registry.CauseFrom(ctx)
	_, err = tx.exec(ctx, `INSERT INTO deleted_images
		(repository, digest, media_type, artifact_type, subject, image_size, tags, absent, pushed_at, last_pulled_at, archived, archived_at,
		deleted_at, deleted_by, reason)
		SELECT ?, digest, media_type, artifact_type, subject, image_size, ?, ?, pushed_at, last_pulled_at, archived, archived_at, ?, ?, ?
		FROM manifests WHERE id = ?
		ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type, artifact_type = excluded.artifact_type,
		subject = excluded.subject, image_size = excluded.image_size, tags = excluded.tags, absent = excluded.absent, pushed_at = excluded.pushed_at,
		last_pulled_at = excluded.last_pulled_at, archived = excluded.archived, archived_at = excluded.archived_at,
		deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by, reason = excluded.reason`, string(r.Name), text, absent, micros(tx.now), cause.By, cause.Why, id)
	return err
}

// absent lists what a manifest names and its repository does not have.
func (tx *Tx) absent(ctx context.Context, r Repository, id int64) ([]digest.Digest, error) {
	blobs, err := collect(ctx, tx.run, scanOne[digest.Digest], `SELECT e.digest FROM manifest_blobs e WHERE e.manifest_id = ?
		AND NOT EXISTS (SELECT 1 FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id AND rb.repository_id = ? WHERE b.digest = e.digest)`, id, r.ID)
	if err != nil {
		return nil, err
	}
	manifests, err := collect(ctx, tx.run, scanOne[digest.Digest], `SELECT e.digest FROM manifest_children e WHERE e.manifest_id = ?
		AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = ? AND m.digest = e.digest)`, id, r.ID)
	return append(blobs, manifests...), err
}

// ForgetDeleted forgets that an image was deleted: it is back.
func (tx *Tx) ForgetDeleted(ctx context.Context, r Repository, d digest.Digest) error {
	_, err := tx.exec(ctx, `DELETE FROM deleted_images WHERE repository = ? AND digest = ?`, string(r.Name), string(d))
	return err
}

const deletedImage = `SELECT x.digest, x.media_type, x.artifact_type, x.subject, coalesce(x.image_size, 0), x.tags, x.absent,
	x.pushed_at, x.last_pulled_at, x.archived, x.archived_at, x.deleted_at, x.deleted_by, x.reason FROM deleted_images x
	WHERE x.repository = ?`

func scanDeletedImage(rows *sql.Rows) (x registry.DeletedImage, err error) {
	var tags, absent string
	var pushed, deleted int64
	var pulled, archivedAt *int64
	var archived bool
	err = rows.Scan(&x.Digest, &x.MediaType, &x.ArtifactType, &x.Subject, &x.Size, &tags, &absent, &pushed, &pulled, &archived, &archivedAt,
		&deleted, &x.By, &x.Why)
	x.PushedAt, x.LastPulledAt, x.ArchivedAt = fromMicros(pushed), optionalTime(pulled), optionalTime(archivedAt)
	x.Class, x.DeletedAt = classOf(archived), fromMicros(deleted)
	return x, errors.Join(err, fromJSON(tags, &x.Tags), fromJSON(absent, &x.Absent))
}

// DeletedImages lists the deleted images of a repository, which may be gone itself, but for
// those that have been pushed again.
func (q queries) DeletedImages(ctx context.Context, repo registry.Name, last digest.Digest, limit int) ([]registry.DeletedImage, error) {
	return collect(ctx, q.run, scanDeletedImage, deletedImage+` AND x.digest > ? AND NOT EXISTS (SELECT 1 FROM manifests m
		WHERE m.repository_id = (SELECT id FROM repositories WHERE name = ?) AND m.digest = x.digest) ORDER BY x.digest LIMIT ?`,
		string(repo), string(last), string(repo), limit)
}

// DeletedImage finds a deleted image. Errors: ErrManifestUnknown.
func (q queries) DeletedImage(ctx context.Context, repo registry.Name, d digest.Digest) (registry.DeletedImage, error) {
	found, err := collect(ctx, q.run, scanDeletedImage, deletedImage+` AND x.digest = ?`, string(repo), string(d))
	if err == nil && len(found) == 0 {
		err = registry.ErrManifestUnknown.With("repository %[2]q has not lost an image %[1]s, or so long ago that its bytes have gone", d, repo)
	}
	if err != nil {
		return registry.DeletedImage{}, err
	}
	return found[0], nil
}

// DeletedImageOf finds the last image that a tag went with. Errors: ErrManifestUnknown.
func (q queries) DeletedImageOf(ctx context.Context, repo registry.Name, t registry.Tag) (d digest.Digest, err error) {
	err = q.run.get(ctx, `SELECT h.was FROM tag_history h JOIN deleted_images x ON x.repository = h.repository AND x.digest = h.was
			AND x.deleted_at = h.changed_at
		WHERE h.repository = ? AND h.tag = ? AND h.digest = '' ORDER BY h.id DESC LIMIT 1`, []any{string(repo), string(t)}, &d)
	if isNone(err) {
		err = registry.ErrManifestUnknown.With("repository %[2]q has not lost an image with the tag %[1]q, or so long ago that its bytes have gone; if only the tag went or moved, berth tag rollback brings it back", t, repo)
	}
	return d, err
}

// DeletedReferrers lists the deleted images that have subject as theirs and were not deleted
// before it.
func (q queries) DeletedReferrers(ctx context.Context, repo registry.Name, subject registry.DeletedImage) ([]registry.DeletedImage, error) {
	return collect(ctx, q.run, scanDeletedImage, deletedImage+` AND x.subject = ? AND x.subject <> '' AND x.deleted_at >= ?
		ORDER BY x.digest`, string(repo), string(subject.Digest), micros(subject.DeletedAt))
}

// DeletedPayload returns the bytes of a deleted image. Errors: ErrManifestUnknown.
func (q queries) DeletedPayload(ctx context.Context, x registry.DeletedImage) (registry.Manifest, error) {
	m := registry.Manifest{MediaType: x.MediaType, Digest: x.Digest}
	err := q.run.get(ctx, `SELECT payload FROM manifest_payloads WHERE digest = ?`, []any{string(x.Digest)}, &m.Bytes)
	if isNone(err) {
		err = registry.ErrManifestUnknown.With("the manifest %s has just been removed for good", x.Digest)
	}
	return m, err
}

// KnowsBlob reports whether the registry has a blob that is not lost, whichever repository sees
// it. It stays until the transaction ends.
func (tx *Tx) KnowsBlob(ctx context.Context, d digest.Digest) (bool, error) {
	b, err := tx.findBlob(ctx, d, tx.dialect.keep())
	if errors.Is(err, registry.ErrBlobUnknown) {
		return false, nil
	}
	return err == nil && !b.Lost, err
}

// Undelete makes a manifest that has been put again what it was before it was deleted, but that
// it counts as one that has just come.
func (tx *Tx) Undelete(ctx context.Context, r Repository, id int64, x registry.DeletedImage) error {
	archived, archivedAt := x.Class == registry.Archive, x.ArchivedAt
	if archived {
		archivedAt = tx.now
	}
	_, err := tx.exec(ctx, `UPDATE manifests SET pushed_at = ?, last_pulled_at = ?, archived = ?, archived_at = ?, activated_at = ? WHERE id = ?`,
		micros(x.PushedAt), optionalMicros(x.LastPulledAt), archived, optionalMicros(archivedAt), micros(tx.now), id)
	if err != nil {
		return err
	}
	return tx.ForgetDeleted(ctx, r, x.Digest)
}

// images forgets deleted images whose bytes may go.
func (s *sweep) images(ctx context.Context, limit int) error {
	if limit <= 0 {
		return nil
	}
	type key struct{ repository, digest string }
	due, err := collect(ctx, s.tx.run, func(rows *sql.Rows) (k key, err error) {
		return k, rows.Scan(&k.repository, &k.digest)
	}, `SELECT repository, digest FROM deleted_images WHERE deleted_at < ? ORDER BY deleted_at, repository, digest LIMIT ?`, s.before, limit)
	slices.SortFunc(due, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.digest, b.digest), cmp.Compare(a.repository, b.repository))
	})
	for _, k := range due {
		if err == nil {
			err = s.image(ctx, k.repository, k.digest)
		}
	}
	s.Candidates += len(due)
	return err
}

// image forgets a deleted image, and its payload if that is no other one's.
func (s *sweep) image(ctx context.Context, repo, d string) error {
	// Of two sweeps that forget the same image of two repositories, the second sees what the
	// first has left, or each would leave the payload to the other. Who is just putting the
	// manifest has it too, and then there is another time.
	var locked string
	err := s.tx.run.get(ctx, `SELECT digest FROM manifest_payloads WHERE digest = ?`+s.tx.dialect.skipLocked(), []any{d}, &locked)
	if isNone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := s.tx.exec(ctx, `DELETE FROM deleted_images WHERE repository = ? AND digest = ? AND deleted_at < ?`, repo, d, s.before)
	if err != nil || n == 0 {
		return err
	}
	s.Images++
	_, err = s.tx.exec(ctx, `DELETE FROM manifest_payloads WHERE digest = ?
		AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?) AND NOT EXISTS (SELECT 1 FROM deleted_images WHERE digest = ?)`, d, d, d)
	return err
}
