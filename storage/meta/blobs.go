package meta

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
)

// Blob is a blob and where its bytes lie: in the object Key, or in the database if it
// is small and Key is empty.
type Blob struct {
	Digest  digest.Digest
	Key     blob.Key
	Size    int64
	Content []byte // for PutBlob and MoveBlob, of a small blob; [queries.BlobContent] reads it
	Lost    bool   // its object is missing or damaged: unknown to clients until it is pushed again

	// Unreferenced is since when no manifest names the blob in the repository that it was
	// found in; zero if one does, or if it was not found in a repository.
	Unreferenced time.Time
}

// lostMark stands before the key of a lost blob. The key stays behind it: should the
// object come back, as after a disk that was not mounted, it can be taken back.
const lostMark = "lost:"

// isLost is the condition that a row of blobs is there for nobody until somebody pushes it
// again, and notLost that it is there for clients. There is an index of those that are lost.
const (
	isLost  = `object_key LIKE '` + lostMark + `%'`
	notLost = `object_key NOT LIKE '` + lostMark + `%'`
)

// place is where the bytes lie, as it is kept.
func (b Blob) place() string {
	if b.Lost {
		return lostMark + string(b.Key)
	}
	return string(b.Key)
}

// setPlace reads what place has written.
func (b *Blob) setPlace(place string) {
	place, b.Lost = strings.CutPrefix(place, lostMark)
	b.Key = blob.Key(place)
}

// Blob finds a blob that is visible in a repository.
// Errors: ErrNameUnknown, ErrBlobUnknown.
func (q queries) Blob(ctx context.Context, repo registry.Name, d digest.Digest) (Blob, error) {
	b := Blob{Digest: d}
	var place *string
	var size, linked, unreferenced *int64
	err := q.run.get(ctx, `SELECT b.object_key, b.size, rb.linked_at, rb.unreferenced_since
		FROM repositories r
		LEFT JOIN blobs b ON b.digest = ?
		LEFT JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.blob_id = b.id
		WHERE r.name = ?`, []any{string(d), string(repo)}, &place, &size, &linked, &unreferenced)
	switch {
	case isNone(err):
		return b, nameUnknown(repo)
	case err != nil:
		return b, err
	case linked == nil:
		return b, registry.ErrBlobUnknown.With("repository %q has no blob %s", repo, d)
	}
	b.Size, b.Unreferenced = *size, optionalTime(unreferenced)
	if b.setPlace(*place); b.Lost {
		return b, registry.ErrBlobUnknown.With("the registry has lost blob %s; push it again", d)
	}
	return b, nil
}

// FindBlob finds a blob, lost or not, whether or not any repository sees it.
// Errors: ErrBlobUnknown.
func (q queries) FindBlob(ctx context.Context, d digest.Digest) (Blob, error) {
	return q.findBlob(ctx, d, "")
}

func (q queries) findBlob(ctx context.Context, d digest.Digest, lock string) (Blob, error) {
	b := Blob{Digest: d}
	var place string
	err := q.run.get(ctx, `SELECT object_key, size FROM blobs WHERE digest = ?`+lock, []any{string(d)}, &place, &b.Size)
	b.setPlace(place)
	if isNone(err) {
		return b, registry.ErrBlobUnknown
	}
	return b, err
}

// AnyLost reports whether any blob is lost.
func (q queries) AnyLost(ctx context.Context) (bool, error) {
	return q.exists(ctx, `SELECT 1 FROM blobs WHERE `+isLost+` LIMIT 1`)
}

// LostBlob finds a lost blob that a manifest of a repository names, or one that it lists;
// empty if there is none.
func (q queries) LostBlob(ctx context.Context, repo registry.Name, d digest.Digest) (lost digest.Digest, err error) {
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return "", err
	}
	err = q.run.get(ctx, `SELECT b.digest FROM blobs b
		JOIN manifest_blobs e ON e.repository_id = ? AND e.digest = b.digest
		JOIN manifests m ON m.id = e.manifest_id
		WHERE b.`+isLost+` AND (m.digest = ? OR EXISTS (
			SELECT 1 FROM manifests i JOIN manifest_children c ON c.manifest_id = i.id
			WHERE i.repository_id = ? AND i.digest = ? AND c.digest = m.digest))
		LIMIT 1`, []any{r.ID, string(d), r.ID, string(d)}, &lost)
	if isNone(err) {
		return "", nil
	}
	return lost, err
}

// BlobContent returns the bytes of a small blob. Errors: ErrBlobUnknown.
func (q queries) BlobContent(ctx context.Context, d digest.Digest) ([]byte, error) {
	var content []byte
	err := q.run.get(ctx, `SELECT content FROM blobs WHERE digest = ? AND object_key = ''`, []any{string(d)}, &content)
	if isNone(err) {
		return nil, registry.ErrBlobUnknown
	}
	return content, err
}

// Blobs lists all blobs by digest, lost ones too, for checks that walk the whole registry.
func (q queries) Blobs(ctx context.Context, last digest.Digest, limit int) ([]Blob, error) {
	return collect(ctx, q.run, func(rows *sql.Rows) (b Blob, err error) {
		var place string
		err = rows.Scan(&b.Digest, &place, &b.Size)
		b.setPlace(place)
		return b, err
	}, `SELECT digest, object_key, size FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?`,
		string(last), limit)
}

// BlobRepositories lists repositories in which a blob is visible.
func (q queries) BlobRepositories(ctx context.Context, d digest.Digest, last registry.Name, limit int) ([]registry.Name, error) {
	return collect(ctx, q.run, scanOne[registry.Name], `SELECT r.name
		FROM blobs b
		JOIN repository_blobs rb ON rb.blob_id = b.id
		JOIN repositories r ON r.id = rb.repository_id
		WHERE b.digest = ? AND b.`+notLost+` AND r.name > ? ORDER BY r.name LIMIT ?`, string(d), string(last), limit)
}

// PutBlob records a blob whose object is whole. If the digest is known already the
// earlier object stays the blob's; what is known now is returned, and stays known until the
// transaction ends.
func (tx *Tx) PutBlob(ctx context.Context, b Blob) (known Blob, err error) {
	for {
		var id int64
		err := tx.run.get(ctx, `INSERT INTO blobs (digest, object_key, size, created_at, content) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (digest) DO NOTHING RETURNING id`,
			[]any{string(b.Digest), b.place(), b.Size, micros(tx.now), b.Content}, &id)
		if err == nil {
			tx.made = madeBlob{id, b.Digest, b.Size}
			tx.countBlob(b.Size)
		}
		if !isNone(err) {
			return b, err
		}
		// Garbage collection may be removing what was in the way.
		known, err = tx.findBlob(ctx, b.Digest, tx.dialect.keep())
		if !errors.Is(err, registry.ErrBlobUnknown) {
			return known, err
		}
	}
}

// MoveBlob says where the bytes of the blob from lie now, unless it has been moved
// since it was read.
func (tx *Tx) MoveBlob(ctx context.Context, from, to Blob) (moved bool, err error) {
	n, err := tx.exec(ctx, `UPDATE blobs SET object_key = ?, size = ?, content = ? WHERE digest = ? AND object_key = ?`,
		to.place(), to.Size, to.Content, string(to.Digest), from.place())
	return n == 1, err
}

// LoseBlob notes that the object of b is missing or damaged, unless the blob has been
// moved since b was read. Clients do not see it then, and whoever pushes it again moves
// it.
func (tx *Tx) LoseBlob(ctx context.Context, b Blob) (lost bool, err error) {
	return tx.markBlob(ctx, b, true)
}

// RegainBlob takes LoseBlob back.
func (tx *Tx) RegainBlob(ctx context.Context, b Blob) (regained bool, err error) {
	return tx.markBlob(ctx, b, false)
}

func (tx *Tx) markBlob(ctx context.Context, b Blob, lost bool) (marked bool, err error) {
	to := b
	to.Lost = lost
	n, err := tx.exec(ctx, `UPDATE blobs SET object_key = ? WHERE digest = ? AND object_key = ?`,
		to.place(), string(b.Digest), b.place())
	return n == 1, err
}

// BlobLinked reports whether a blob is visible in a repository.
func (tx *Tx) BlobLinked(ctx context.Context, r Repository, d digest.Digest) (bool, error) {
	return tx.exists(ctx, `SELECT 1 FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id
		WHERE b.digest = ? AND rb.repository_id = ?`, string(d), r.ID)
}

// DeleteBlob makes a blob invisible in a repository. Errors: ErrBlobUnknown,
// ErrBlobReferenced.
func (tx *Tx) DeleteBlob(ctx context.Context, r Repository, d digest.Digest) error {
	linked, err := tx.BlobLinked(ctx, r, d)
	if err != nil {
		return err
	}
	if !linked {
		return registry.ErrBlobUnknown.With("repository %q has no blob %s", r.Name, d)
	}
	var by string
	err = tx.run.get(ctx, `SELECT m.digest FROM manifest_blobs e JOIN manifests m ON m.id = e.manifest_id
		WHERE e.repository_id = ? AND e.digest = ? LIMIT 1`, []any{r.ID, string(d)}, &by)
	if err == nil {
		return registry.ErrBlobReferenced.With("manifest %s refers to the blob; delete that manifest first", by)
	}
	if !isNone(err) {
		return err
	}
	if err := tx.unlinkBlob(ctx, r, string(d)); err != nil {
		return err
	}
	return tx.addCandidate(ctx, string(d), micros(tx.now))
}
