package meta

import (
	"context"
	"database/sql"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// imageColumns are those of a manifest m. An index has the size of its largest image,
// which may be pushed after it where that is allowed.
const imageColumns = `m.digest, m.media_type, m.artifact_type, m.subject, m.pushed_at, m.last_pulled_at,
	m.archived, m.archived_at, m.activated_at, coalesce(m.image_size, 0), coalesce((
	SELECT max(c.image_size) FROM manifest_children e JOIN manifests c ON c.repository_id = m.repository_id AND c.digest = e.digest
	WHERE e.manifest_id = m.id), 0)`

func scanImage(rows *sql.Rows) (image registry.Image, err error) {
	var pushed, largest int64
	var archived bool
	var pulled, archivedAt, activatedAt *int64
	err = rows.Scan(&image.Digest, &image.MediaType, &image.ArtifactType, &image.Subject, &pushed, &pulled,
		&archived, &archivedAt, &activatedAt, &image.Size, &largest)
	image.PushedAt, image.LastPulledAt = fromMicros(pushed), optionalTime(pulled)
	image.ArchivedAt, image.ActivatedAt = optionalTime(archivedAt), optionalTime(activatedAt)
	image.Class = classOf(archived)
	image.Size = max(image.Size, largest)
	return image, err
}

func classOf(archived bool) registry.StorageClass {
	if archived {
		return registry.Archive
	}
	return registry.Standard
}

// hasTag is the condition that a manifest m has the tags that are asked for.
func hasTag(s registry.TagStatus) string {
	const some = `EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)`
	switch s {
	case registry.Tagged:
		return ` AND ` + some
	case registry.Untagged:
		return ` AND NOT ` + some
	}
	return ""
}

// inClass is the condition that a manifest m is in a storage class.
func inClass(c registry.StorageClass) string {
	switch c {
	case registry.Standard:
		return ` AND NOT m.archived`
	case registry.Archive:
		return ` AND m.archived`
	}
	return ""
}

// Images lists images of a repository with their tags.
func (q queries) Images(ctx context.Context, r Repository, find registry.ImagesQuery) ([]registry.Image, error) {
	page, err := collect(ctx, q.run, scanImage, `SELECT `+imageColumns+` FROM manifests m
		WHERE m.repository_id = ? AND m.digest > ?`+hasTag(find.Status)+inClass(find.Class)+` ORDER BY m.digest LIMIT ?`,
		r.ID, string(find.Last.Digest), find.Limit)
	if err != nil || len(page) == 0 {
		return page, err
	}
	at := make(map[digest.Digest]*registry.Image, len(page))
	for i := range page {
		at[page[i].Digest] = &page[i]
	}
	err = q.run.query(ctx, func(rows *sql.Rows) error {
		var d digest.Digest
		var t registry.Tag
		err := rows.Scan(&d, &t)
		if image := at[d]; image != nil {
			image.Tags = append(image.Tags, t)
		}
		return err
	}, `SELECT m.digest, t.name FROM manifests m JOIN tags t ON t.manifest_id = m.id
		WHERE m.repository_id = ? AND m.digest >= ? AND m.digest <= ? ORDER BY m.digest, t.name`,
		r.ID, string(page[0].Digest), string(page[len(page)-1].Digest))
	return page, err
}

// Image describes the image of a digest. Errors: ErrManifestUnknown.
func (q queries) Image(ctx context.Context, r Repository, d digest.Digest) (registry.Image, error) {
	found, err := collect(ctx, q.run, scanImage, `SELECT `+imageColumns+` FROM manifests m
		WHERE m.repository_id = ? AND m.digest = ?`, r.ID, string(d))
	if err == nil && len(found) == 0 {
		err = registry.ErrManifestUnknown.With("repository %q has no manifest %s", r.Name, d)
	}
	if err != nil {
		return registry.Image{}, err
	}
	found[0].Tags, err = q.ImageTags(ctx, r, d)
	return found[0], err
}

// ImageTags lists all tags of an image.
func (q queries) ImageTags(ctx context.Context, r Repository, d digest.Digest) ([]registry.Tag, error) {
	return collect(ctx, q.run, scanOne[registry.Tag], `SELECT name FROM tags
		WHERE manifest_id = (SELECT id FROM manifests WHERE repository_id = ? AND digest = ?) ORDER BY name`, r.ID, string(d))
}

// ImageIDs lists a digest with each of its tags, and untagged digests alone.
func (q queries) ImageIDs(ctx context.Context, r Repository, find registry.ImagesQuery) ([]registry.ImageID, error) {
	join, condition := `LEFT JOIN`, hasTag(find.Status)
	if find.Status == registry.Tagged {
		join, condition = `JOIN`, ""
	}
	return collect(ctx, q.run, func(rows *sql.Rows) (id registry.ImageID, err error) {
		return id, rows.Scan(&id.Digest, &id.Tag)
	}, `SELECT m.digest, coalesce(t.name, '') FROM manifests m `+join+` tags t ON t.manifest_id = m.id
		WHERE m.repository_id = ? AND m.digest >= ? AND (m.digest > ? OR t.name > ?)`+condition+inClass(find.Class)+`
		ORDER BY m.digest, t.name LIMIT ?`,
		r.ID, string(find.Last.Digest), string(find.Last.Digest), string(find.Last.Tag), find.Limit)
}

// TagDigest finds the image that a tag names. Errors: ErrManifestUnknown.
func (q queries) TagDigest(ctx context.Context, r Repository, t registry.Tag) (d digest.Digest, err error) {
	err = q.run.get(ctx, `SELECT m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
		WHERE t.repository_id = ? AND t.name = ?`, []any{r.ID, string(t)}, &d)
	if isNone(err) {
		err = registry.ErrManifestUnknown.With("repository %q has no tag %q", r.Name, t)
	}
	return d, err
}

// BlobReferenced reports whether a manifest of the repository names a blob.
func (q queries) BlobReferenced(ctx context.Context, r Repository, d digest.Digest) (bool, error) {
	return q.exists(ctx, `SELECT 1 FROM manifest_blobs WHERE repository_id = ? AND digest = ? LIMIT 1`, r.ID, string(d))
}

// Pulled is an image that was pulled.
type Pulled struct {
	Repo   registry.Name
	Digest digest.Digest
}

// NotePulls records that images have been pulled just now.
func (tx *Tx) NotePulls(ctx context.Context, all []Pulled) error {
	for _, p := range all {
		_, err := tx.exec(ctx, `UPDATE manifests SET last_pulled_at = ? WHERE digest = ?
			AND repository_id = (SELECT id FROM repositories WHERE name = ?)`, micros(tx.now), string(p.Digest), string(p.Repo))
		if err != nil {
			return err
		}
	}
	return nil
}
