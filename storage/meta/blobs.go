package meta

import (
	"context"
	"database/sql"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/queue"
)

// Blob is a blob and where its bytes lie: in the object Key, or in the database if it
// is small and Key is empty.
type Blob struct {
	Digest  digest.Digest
	Key     blob.Key
	Size    int64
	Content []byte // for PutBlob and MoveBlob, of a small blob; [queries.BlobContent] reads it
	Lost    bool   // its object is missing or damaged: unknown to clients until it is pushed again
}

// lostMark stands before the key of a lost blob. The key stays behind it: should the
// object come back, as after a disk that was not mounted, it can be taken back.
const lostMark = "lost:"

// place is where the bytes lie, as it is kept.
func (b Blob) place() string {
	if b.Lost {
		return lostMark + string(b.Key)
	}
	return string(b.Key)
}

// lies reads what place has written.
func (b *Blob) lies(place string) {
	place, b.Lost = strings.CutPrefix(place, lostMark)
	b.Key = blob.Key(place)
}

// Blob finds a blob that is visible in a repository.
// Errors: ErrNameUnknown, ErrBlobUnknown.
func (q queries) Blob(ctx context.Context, repo registry.Name, d digest.Digest) (Blob, error) {
	b := Blob{Digest: d}
	var place string
	err := q.run.get(ctx, `SELECT b.object_key, b.size
		FROM repositories r
		JOIN blobs b ON b.digest = ?
		JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.blob_id = b.id
		WHERE r.name = ?`, []any{string(d), string(repo)}, &place, &b.Size)
	if b.lies(place); b.Lost {
		return b, registry.ErrBlobUnknown.With("the registry has lost blob %s; push it again", d)
	}
	if !isNone(err) {
		return b, err
	}
	if _, err := q.Repository(ctx, repo); err != nil {
		return b, err
	}
	return b, registry.ErrBlobUnknown.With("repository %q has no blob %s", repo, d)
}

// FindBlob finds a blob, lost or not, whether or not any repository sees it.
// Errors: ErrBlobUnknown.
func (q queries) FindBlob(ctx context.Context, d digest.Digest) (Blob, error) {
	b := Blob{Digest: d}
	var place string
	err := q.run.get(ctx, `SELECT object_key, size FROM blobs WHERE digest = ?`, []any{string(d)}, &place, &b.Size)
	b.lies(place)
	if isNone(err) {
		return b, registry.ErrBlobUnknown
	}
	return b, err
}

// IsObject reports whether the bytes of a blob lie in the object key. It looks at all
// blobs, and is asked only after a push went wrong.
func (q queries) IsObject(ctx context.Context, key blob.Key) (bool, error) {
	var one int
	err := q.run.get(ctx, `SELECT 1 FROM blobs WHERE object_key = ? LIMIT 1`, []any{string(key)}, &one)
	if isNone(err) {
		return false, nil
	}
	return err == nil, err
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
		b.lies(place)
		return b, err
	}, `SELECT digest, object_key, size FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?`,
		string(last), limit)
}

// ObjectKeys lists the keys under which blobs and uploads lie, or lay before they were
// lost, and those of objects that are about to be deleted, for checks that walk the
// whole store. Keys go from uploads to blobs to jobs, and in this order they are read,
// so that none slips through.
func (q queries) ObjectKeys(ctx context.Context, each func(blob.Key)) error {
	err := objectKeys(ctx, q, each, "", `SELECT id, object_key FROM uploads WHERE id > ? ORDER BY id LIMIT ?`)
	if err == nil {
		err = objectKeys(ctx, q, each, "",
			`SELECT digest, object_key FROM blobs WHERE digest > ? AND object_key <> '' ORDER BY digest LIMIT ?`)
	}
	if err == nil {
		err = objectKeys(ctx, q, each, int64(0),
			`SELECT id, job_key FROM jobs WHERE id > ? AND kind = '`+DeleteObject+`' ORDER BY id LIMIT ?`)
	}
	return err
}

// objectKeys walks the pages of a query, each of which follows the last entry of the one
// before.
func objectKeys[L any](ctx context.Context, q queries, each func(blob.Key), last L, query string) error {
	const page = 1000
	for n := page; n == page; {
		keys, err := collect(ctx, q.run, func(rows *sql.Rows) (blob.Key, error) {
			var b Blob
			var place string
			err := rows.Scan(&last, &place)
			b.lies(place)
			return b.Key, err
		}, query, last, page)
		if err != nil {
			return err
		}
		for _, key := range keys {
			each(key)
		}
		n = len(keys)
	}
	return nil
}

// DeleteObject is the kind of the jobs that remove an object which no row names any
// more. Their payload is an [Object].
const DeleteObject = "delete-object"

// Object is the payload of DeleteObject.
type Object struct {
	Key blob.Key `json:"key"`
}

// DeleteObject has an object removed after the transaction in which its last name goes,
// and not before the holds end that have seen it (see [queries.Held]).
func (tx *Tx) DeleteObject(ctx context.Context, key blob.Key) error {
	return tx.Enqueue(ctx, queue.NewJob{Kind: DeleteObject, Key: string(key), Payload: Object{key}})
}

// BlobRepositories lists repositories in which a blob is visible.
func (q queries) BlobRepositories(ctx context.Context, d digest.Digest, last registry.Name, limit int) ([]registry.Name, error) {
	return collect(ctx, q.run, scanOne[registry.Name], `SELECT r.name
		FROM blobs b
		JOIN repository_blobs rb ON rb.blob_id = b.id
		JOIN repositories r ON r.id = rb.repository_id
		WHERE b.digest = ? AND b.object_key NOT LIKE 'lost:%' AND r.name > ? ORDER BY r.name LIMIT ?`, string(d), string(last), limit)
}

// PutBlob records a blob whose object is whole. If the digest is known already the
// earlier object stays the blob's; what is known now is returned.
func (tx *Tx) PutBlob(ctx context.Context, b Blob) (known Blob, err error) {
	n, err := tx.exec(ctx, `INSERT INTO blobs (digest, object_key, size, created_at, content) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (digest) DO NOTHING`, string(b.Digest), b.place(), b.Size, micros(tx.now), b.Content)
	if err != nil || n == 1 {
		return b, err
	}
	return tx.FindBlob(ctx, b.Digest)
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

// LinkBlob makes a known blob visible in a repository. Errors: ErrBlobUnknown.
func (tx *Tx) LinkBlob(ctx context.Context, r Repository, d digest.Digest) error {
	n, err := tx.exec(ctx, `INSERT INTO repository_blobs (repository_id, blob_id, linked_at, unreferenced_since)
		SELECT ?, id, ?, ? FROM blobs WHERE digest = ?
		ON CONFLICT (repository_id, blob_id) DO UPDATE SET linked_at = excluded.linked_at`,
		r.ID, micros(tx.now), micros(tx.now), string(d))
	if err == nil && n == 0 {
		return registry.ErrBlobUnknown
	}
	return err
}

// BlobLinked reports whether a blob is visible in a repository.
func (tx *Tx) BlobLinked(ctx context.Context, r Repository, d digest.Digest) (bool, error) {
	var one int
	err := tx.run.get(ctx, `SELECT 1 FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id
		WHERE b.digest = ? AND rb.repository_id = ?`, []any{string(d), r.ID}, &one)
	if isNone(err) {
		return false, nil
	}
	return err == nil, err
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
	return tx.unlinkBlob(ctx, r, string(d))
}

func (tx *Tx) unlinkBlob(ctx context.Context, r Repository, d string) error {
	_, err := tx.exec(ctx, `DELETE FROM repository_blobs WHERE repository_id = ?
		AND blob_id = (SELECT id FROM blobs WHERE digest = ?)`, r.ID, d)
	if err != nil {
		return err
	}
	return tx.addCandidate(ctx, d)
}

// addCandidate notes that a blob may have become garbage.
func (tx *Tx) addCandidate(ctx context.Context, d string) error {
	_, err := tx.exec(ctx, `INSERT INTO gc_candidates (digest, since) VALUES (?, ?)
		ON CONFLICT (digest) DO UPDATE SET since = excluded.since`, d, micros(tx.now))
	return err
}
