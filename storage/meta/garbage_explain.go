package meta

import (
	"context"
	"database/sql"
	"errors"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/gc"
)

// ExplainGarbage says who holds a blob or a manifest. most bounds what is told of each kind.
func (q queries) ExplainGarbage(ctx context.Context, d digest.Digest, most int) (gc.Explanation, error) {
	x := gc.Explanation{Digest: d}
	switch b, err := q.FindBlob(ctx, d); {
	case err == nil:
		x.Blob, x.Size, x.Lost = true, b.Size, b.Lost
	case !errors.Is(err, registry.ErrBlobUnknown):
		return x, err
	}
	var since *int64
	err := q.run.get(ctx, `SELECT since FROM gc_candidates WHERE digest = ?`, []any{string(d)}, &since)
	if err != nil && !isNone(err) {
		return x, err
	}
	x.UnseenSince = optionalTime(since)
	if x.Holders, err = q.blobHolders(ctx, d, most); err != nil {
		return x, err
	}
	if x.Manifests, err = q.manifestHolders(ctx, d, most); err != nil {
		return x, err
	}
	if x.Deleted, err = q.formerHolders(ctx, d, most); err != nil {
		return x, err
	}
	if len(x.Holders) > 0 {
		x.UnseenSince = optionalTime(nil) // it was, and has been pushed or mounted again
	}
	x.More = len(x.Holders) == most || len(x.Manifests) == most || len(x.Deleted) == most
	return x, nil
}

// blobHolders lists repositories that see a blob, and what names it there.
func (q queries) blobHolders(ctx context.Context, d digest.Digest, most int) ([]gc.Holder, error) {
	holders, err := collect(ctx, q.run, func(rows *sql.Rows) (h gc.Holder, err error) {
		var since *int64
		err = rows.Scan(&h.Repository, &since)
		h.Unreferenced = optionalTime(since)
		return h, err
	}, `SELECT r.name, rb.unreferenced_since FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id
		JOIN repositories r ON r.id = rb.repository_id WHERE b.digest = ? LIMIT ?`, string(d), most)
	for i := range holders {
		if err != nil {
			break
		}
		holders[i].NamedBy, err = collect(ctx, q.run, scanOne[digest.Digest], `SELECT m.digest FROM repositories r
			JOIN manifest_blobs e ON e.repository_id = r.id AND e.digest = ? JOIN manifests m ON m.id = e.manifest_id
			WHERE r.name = ? LIMIT ?`, string(d), string(holders[i].Repository), most)
	}
	return holders, err
}

// manifestHolders lists repositories that have a manifest, and what names it there.
func (q queries) manifestHolders(ctx context.Context, d digest.Digest, most int) ([]gc.Holder, error) {
	holders, err := collect(ctx, q.run, func(rows *sql.Rows) (h gc.Holder, err error) {
		return h, rows.Scan(&h.Repository)
	}, `SELECT r.name FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE m.digest = ? LIMIT ?`, string(d), most)
	for i := range holders {
		if err != nil {
			break
		}
		h := &holders[i]
		h.NamedBy, err = collect(ctx, q.run, scanOne[digest.Digest], `SELECT m.digest FROM repositories r
			JOIN manifest_children e ON e.repository_id = r.id AND e.digest = ? JOIN manifests m ON m.id = e.manifest_id
			WHERE r.name = ? LIMIT ?`, string(d), string(h.Repository), most)
		if err == nil {
			h.Tags, err = collect(ctx, q.run, scanOne[registry.Tag], `SELECT t.name FROM repositories r
				JOIN manifests m ON m.repository_id = r.id AND m.digest = ? JOIN tags t ON t.manifest_id = m.id
				WHERE r.name = ? ORDER BY t.name LIMIT ?`, string(d), string(h.Repository), most)
		}
	}
	return holders, err
}

// formerHolders lists repositories from which an image was deleted that can be restored.
func (q queries) formerHolders(ctx context.Context, d digest.Digest, most int) ([]gc.Holder, error) {
	return collect(ctx, q.run, func(rows *sql.Rows) (h gc.Holder, err error) {
		var tags string
		var at int64
		err = errors.Join(rows.Scan(&h.Repository, &tags, &at), fromJSON(tags, &h.Tags))
		h.DeletedAt = fromMicros(at)
		return h, err
	}, `SELECT repository, tags, deleted_at FROM deleted_images WHERE digest = ? LIMIT ?`, string(d), most)
}
