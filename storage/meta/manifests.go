package meta

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// StatManifest describes what ref names, unless that is archived.
// Errors: ErrNameUnknown, ErrManifestUnknown.
func (q queries) StatManifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Descriptor, error) {
	var d registry.Descriptor
	query, args := findManifest(`m.digest, m.media_type, m.size`, "", repo, ref)
	err := q.run.get(ctx, query, args, &d.Digest, &d.MediaType, &d.Size)
	return d, q.whyNoManifest(ctx, repo, ref, err)
}

// Manifest returns what ref names, unless that is archived.
// Errors: ErrNameUnknown, ErrManifestUnknown.
func (q queries) Manifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	var m registry.Manifest
	query, args := findManifest(`m.digest, m.media_type, p.payload`, `JOIN manifest_payloads p ON p.digest = m.digest`, repo, ref)
	err := q.run.get(ctx, query, args, &m.Digest, &m.MediaType, &m.Bytes)
	return m, q.whyNoManifest(ctx, repo, ref, err)
}

// findManifest is one join from the names a client uses to a manifest.
func findManifest(columns, join string, repo registry.Name, ref registry.Reference) (query string, args []any) {
	if ref.Digest != "" {
		return `SELECT ` + columns + ` FROM repositories r
			JOIN manifests m ON m.repository_id = r.id AND m.digest = ? AND NOT m.archived ` + join + `
			WHERE r.name = ?`, []any{string(ref.Digest), string(repo)}
	}
	return `SELECT ` + columns + ` FROM repositories r
		JOIN tags t ON t.repository_id = r.id AND t.name = ?
		JOIN manifests m ON m.id = t.manifest_id AND NOT m.archived ` + join + `
		WHERE r.name = ?`, []any{string(ref.Tag), string(repo)}
}

func (q queries) whyNoManifest(ctx context.Context, repo registry.Name, ref registry.Reference, err error) error {
	if !isNone(err) {
		return err
	}
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return err
	}
	d := ref.Digest
	if d == "" {
		if d, err = q.TagDigest(ctx, r, ref.Tag); err != nil {
			return err
		}
	}
	image, err := q.Image(ctx, r, d)
	if err == nil {
		err = registry.ErrManifestUnknown.With("%s of repository %q is archived; take it out of the archive (berth image activate, UpdateImageStorageClass), or push it again", image.Digest, repo)
	}
	return err
}

// ArchivedManifest returns a manifest of a repository, archived or not.
// Errors: ErrNameUnknown, ErrManifestUnknown.
func (q queries) ArchivedManifest(ctx context.Context, repo registry.Name, d digest.Digest) (registry.Manifest, error) {
	m := registry.Manifest{Digest: d}
	err := q.run.get(ctx, `SELECT m.media_type, p.payload FROM repositories r
		JOIN manifests m ON m.repository_id = r.id AND m.digest = ? JOIN manifest_payloads p ON p.digest = m.digest
		WHERE r.name = ?`, []any{string(d), string(repo)}, &m.MediaType, &m.Bytes)
	if isNone(err) {
		err = registry.ErrManifestUnknown.With("repository %q has no manifest %s", repo, d)
	}
	return m, err
}

// Manifests lists the digests of a repository's manifests after last.
func (q queries) Manifests(ctx context.Context, r Repository, last digest.Digest, limit int) ([]digest.Digest, error) {
	return collect(ctx, q.run, scanOne[digest.Digest], `SELECT digest FROM manifests WHERE repository_id = ? AND digest > ? ORDER BY digest LIMIT ?`,
		r.ID, string(last), limit)
}

// maxReferrersPage bounds the descriptors of one page of referrers, in bytes, so that
// the answer stays below the size of a manifest.
const maxReferrersPage = 3 << 20

// Referrers lists the manifests whose subject is q.Subject.
// Errors: ErrNameUnknown.
func (q queries) Referrers(ctx context.Context, repo registry.Name, find registry.ReferrersQuery) (page []registry.Referrer, more bool, err error) {
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return nil, false, err
	}
	query := `SELECT digest, descriptor FROM manifests
		WHERE repository_id = ? AND subject = ? AND subject <> '' AND digest > ? AND NOT archived`
	args := []any{r.ID, string(find.Subject), string(find.Last)}
	if n := len(find.ArtifactTypes); n > 0 {
		query += ` AND artifact_type IN (?` + strings.Repeat(`, ?`, n-1) + `)`
		for _, t := range find.ArtifactTypes {
			args = append(args, t)
		}
	}
	size := 0
	err = q.run.query(ctx, func(rows *sql.Rows) error {
		var found registry.Referrer
		if err := rows.Scan(&found.Digest, &found.JSON); err != nil {
			return err
		}
		size += len(found.JSON)
		if len(page) == find.Limit || len(page) > 0 && size > maxReferrersPage {
			return errPageFull
		}
		page = append(page, found)
		return nil
	}, query+` ORDER BY digest LIMIT ?`, append(args, find.Limit+1)...)
	if errors.Is(err, errPageFull) {
		return page, true, nil
	}
	return page, false, err
}

var errPageFull = errors.New("the page is full")

// ManifestID finds a manifest of a repository. Errors: ErrManifestUnknown.
func (tx *Tx) ManifestID(ctx context.Context, r Repository, d digest.Digest) (int64, error) {
	var id int64
	err := tx.run.get(ctx, `SELECT id FROM manifests WHERE repository_id = ? AND digest = ?`, []any{r.ID, string(d)}, &id)
	if isNone(err) {
		return 0, registry.ErrManifestUnknown.With("repository %q has no manifest %s", r.Name, d)
	}
	return id, err
}

// PutManifest records a manifest that the repository does not have yet. Its edges
// are recorded with ReferToBlob and ReferToManifest.
func (tx *Tx) PutManifest(ctx context.Context, r Repository, m registry.Manifest, c registry.Content) (id int64, err error) {
	var subject string
	var referrer registry.Referrer
	if c.Subject != nil {
		subject = string(c.Subject.Digest)
		if referrer, err = registry.NewReferrer(m, c); err != nil {
			return 0, err
		}
	}
	_, err = tx.exec(ctx, `INSERT INTO manifest_payloads (digest, payload) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING`,
		string(m.Digest), m.Bytes)
	if err != nil {
		return 0, err
	}
	err = tx.run.get(ctx, `INSERT INTO manifests
		(repository_id, digest, media_type, artifact_type, subject, descriptor, size, pushed_at, image_size)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		[]any{r.ID, string(m.Digest), c.MediaType, c.ArtifactType, subject, string(referrer.JSON), len(m.Bytes), micros(tx.now), c.Size()}, &id)
	return id, err
}

// ReferToBlob records that a manifest names a blob, and reports whether the blob is
// visible in the repository and not lost. If it is not, nothing is recorded unless
// absent is allowed.
func (tx *Tx) ReferToBlob(ctx context.Context, r Repository, manifestID int64, d digest.Digest, absent bool) (present bool, err error) {
	n, err := tx.exec(ctx, `UPDATE repository_blobs SET unreferenced_since = NULL
		WHERE repository_id = ? AND blob_id = (SELECT id FROM blobs WHERE digest = ? AND `+notLost+`)`,
		r.ID, string(d))
	if err != nil || n == 0 && !absent {
		return false, err
	}
	_, err = tx.exec(ctx, `INSERT INTO manifest_blobs (repository_id, digest, manifest_id) VALUES (?, ?, ?)
		ON CONFLICT DO NOTHING`, r.ID, string(d), manifestID)
	return n == 1, err
}

// ReferToManifest records that an index names a manifest, and reports whether that
// is in the repository. If it is not, nothing is recorded unless absent is allowed.
func (tx *Tx) ReferToManifest(ctx context.Context, r Repository, indexID int64, d digest.Digest, absent bool) (present bool, err error) {
	_, err = tx.ManifestID(ctx, r, d)
	if err != nil && !errors.Is(err, registry.ErrManifestUnknown) {
		return false, err
	}
	present = err == nil
	if !present && !absent {
		return false, nil
	}
	_, err = tx.exec(ctx, `INSERT INTO manifest_children (repository_id, digest, manifest_id) VALUES (?, ?, ?)
		ON CONFLICT DO NOTHING`, r.ID, string(d), indexID)
	return present, err
}

// DeleteManifest removes a manifest and its tags, and notes which blobs nothing in
// the repository refers to any more, and what it takes to restore it. Errors: ErrManifestUnknown,
// ErrManifestReferenced.
func (tx *Tx) DeleteManifest(ctx context.Context, r Repository, d digest.Digest) error {
	id, err := tx.ManifestID(ctx, r, d)
	if err != nil {
		return err
	}
	parents, err := collect(ctx, tx.run, scanOne[string], `SELECT m.digest FROM manifest_children e JOIN manifests m ON m.id = e.manifest_id
		WHERE e.repository_id = ? AND e.digest = ? ORDER BY m.digest LIMIT 5`, r.ID, string(d))
	if err != nil {
		return err
	}
	if len(parents) > 0 {
		return registry.ErrManifestReferenced.With("the manifest belongs to the index %s; delete that first", strings.Join(parents, ", ")).
			WithDetail(map[string]any{"indexes": parents})
	}
	blobs, err := collect(ctx, tx.run, scanOne[string], `SELECT digest FROM manifest_blobs WHERE manifest_id = ?`, id)
	if err != nil {
		return err
	}
	if err := tx.keepDeleted(ctx, r, id, d); err != nil {
		return err
	}
	if err := tx.noteTagsGone(ctx, r, id, d); err != nil {
		return err
	}
	if err := tx.dropScan(ctx, r, d); err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM tags WHERE manifest_id = ?`,
		`DELETE FROM manifest_blobs WHERE manifest_id = ?`,
		`DELETE FROM manifest_children WHERE manifest_id = ?`,
		`DELETE FROM manifests WHERE id = ?`,
	} {
		if _, err := tx.exec(ctx, query, id); err != nil {
			return err
		}
	}
	if err := tx.dropVEX(ctx, r, d); err != nil {
		return err
	}
	slices.Sort(blobs) // as garbage collection takes them
	for _, b := range blobs {
		if err := tx.releaseBlob(ctx, r, b); err != nil {
			return err
		}
	}
	return nil
}

// releaseBlob notes that a manifest of r which named d is gone: a candidate for garbage
// collection if no other one names it.
func (tx *Tx) releaseBlob(ctx context.Context, r Repository, d string) error {
	_, err := tx.exec(ctx, `UPDATE repository_blobs SET unreferenced_since = ?
		WHERE repository_id = ? AND blob_id = (SELECT id FROM blobs WHERE digest = ?)
		AND NOT EXISTS (SELECT 1 FROM manifest_blobs WHERE repository_id = ? AND digest = ?)`,
		micros(tx.now), r.ID, d, r.ID, d)
	return err
}

// DeleteUnheldManifests deletes those manifests that no index names, and says how
// many.
func (tx *Tx) DeleteUnheldManifests(ctx context.Context, r Repository, all []digest.Digest) (deleted int, err error) {
	for _, d := range all {
		switch err := tx.DeleteManifest(ctx, r, d); {
		case err == nil:
			deleted++
		case !errors.Is(err, registry.ErrManifestReferenced):
			return deleted, err
		}
	}
	return deleted, nil
}
