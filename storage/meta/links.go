package meta

import (
	"context"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// link is a blob that a repository sees.
type link struct {
	repository int64
	name       registry.Name // of the repository
	blob       int64
	digest     string
	size       int64
	since      int64 // unreferenced
}

// LinkBlob makes a known blob visible in a repository. Until a manifest names it, it is
// a candidate for garbage collection, and the youngest.
// Errors: ErrBlobUnknown, ErrQuotaExceeded.
func (tx *Tx) LinkBlob(ctx context.Context, r Repository, d digest.Digest) error {
	l := link{repository: r.ID, name: r.Name, blob: tx.made.id, size: tx.made.size}
	known := tx.made.digest != d
	if known {
		if linked, err := tx.linkAgain(ctx, r, d); linked || err != nil {
			return err
		}
	}
	if err := tx.holdQuotas(ctx, r.Name); err != nil {
		return err
	}
	if known {
		err := tx.run.get(ctx, `SELECT id, size FROM blobs WHERE digest = ?`+tx.dialect.change(), []any{string(d)}, &l.blob, &l.size)
		if isNone(err) {
			return registry.ErrBlobUnknown
		}
		if err != nil {
			return err
		}
	}
	n, err := tx.exec(ctx, `INSERT INTO repository_blobs (repository_id, blob_id, linked_at, unreferenced_since) VALUES (?, ?, ?, ?)
		ON CONFLICT (repository_id, blob_id) DO NOTHING`, l.repository, l.blob, micros(tx.now), micros(tx.now))
	if err == nil && n == 0 { // somebody has linked it meanwhile
		_, err = tx.linkAgain(ctx, r, d)
		return err
	}
	if err == nil {
		err = tx.countLink(ctx, l, 1)
	}
	tx.made = madeBlob{}
	return err
}

// madeBlob is a blob that the transaction has added and not made visible yet: until it
// commits nobody else can.
type madeBlob struct {
	id     int64
	digest digest.Digest
	size   int64
}

// linkAgain is LinkBlob for one that is visible already.
func (tx *Tx) linkAgain(ctx context.Context, r Repository, d digest.Digest) (linked bool, err error) {
	n, err := tx.exec(ctx, `UPDATE repository_blobs SET linked_at = ?, unreferenced_since =
			CASE WHEN unreferenced_since IS NULL THEN NULL ELSE CAST(? AS BIGINT) END
		WHERE repository_id = ? AND blob_id = (SELECT id FROM blobs WHERE digest = ?)`, micros(tx.now), micros(tx.now), r.ID, string(d))
	return n == 1, err
}

// unlinkBlob makes a blob invisible, which the caller notes as a candidate for garbage
// collection once it has locked all the blobs that it means to.
func (tx *Tx) unlinkBlob(ctx context.Context, r Repository, d string) error {
	if err := tx.holdQuotas(ctx, r.Name); err != nil {
		return err
	}
	l := link{repository: r.ID, name: r.Name}
	err := tx.run.get(ctx, `SELECT id, size FROM blobs WHERE digest = ?`+tx.dialect.change(), []any{d}, &l.blob, &l.size)
	if isNone(err) {
		return nil // garbage collection has been faster
	}
	if err != nil {
		return err
	}
	_, err = tx.removeLink(ctx, l, ``)
	return err
}

// removeLink makes a blob whose row is locked invisible in a repository, if it is visible
// there and the rest of the condition holds.
func (tx *Tx) removeLink(ctx context.Context, l link, condition string, args ...any) (removed bool, err error) {
	n, err := tx.exec(ctx, `DELETE FROM repository_blobs WHERE repository_id = ? AND blob_id = ?`+condition,
		append([]any{l.repository, l.blob}, args...)...)
	if err != nil || n == 0 {
		return false, err
	}
	return true, tx.countLink(ctx, l, -1)
}
