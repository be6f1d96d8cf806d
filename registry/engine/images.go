package engine

import (
	"context"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// Images implements [registry.Images].
func (e *Engine) Images(ctx context.Context, repo registry.Name, q registry.ImagesQuery) ([]registry.Image, bool, error) {
	r, err := e.meta.Repository(ctx, repo)
	if err != nil {
		return nil, false, err
	}
	page, err := e.meta.Images(ctx, r, q)
	return page, len(page) == q.Limit, err
}

// ImageIDs implements [registry.Images].
func (e *Engine) ImageIDs(ctx context.Context, repo registry.Name, q registry.ImagesQuery) ([]registry.ImageID, bool, error) {
	r, err := e.meta.Repository(ctx, repo)
	if err != nil {
		return nil, false, err
	}
	page, err := e.meta.ImageIDs(ctx, r, q)
	return page, len(page) == q.Limit, err
}

// Image implements [registry.Images].
func (e *Engine) Image(ctx context.Context, repo registry.Name, id registry.ImageID) (registry.Image, error) {
	r, err := e.meta.Repository(ctx, repo)
	if err != nil {
		return registry.Image{}, err
	}
	d := id.Digest
	if id.Tag != "" {
		tagged, err := e.meta.TagDigest(ctx, r, id.Tag)
		if err != nil {
			return registry.Image{}, err
		}
		if d != "" && d != tagged {
			return registry.Image{}, registry.ErrManifestUnknown.With("the tag %q of repository %q is not that of %s", id.Tag, repo, d)
		}
		d = tagged
	}
	return e.meta.Image(ctx, r, d)
}

// LayerReferenced implements [registry.Images].
func (e *Engine) LayerReferenced(ctx context.Context, repo registry.Name, d digest.Digest) (bool, error) {
	r, err := e.meta.Repository(ctx, repo)
	if err != nil {
		return false, err
	}
	return e.meta.BlobReferenced(ctx, r, d)
}

// DeleteImage implements [registry.Images].
func (e *Engine) DeleteImage(ctx context.Context, repo registry.Name, id registry.ImageID) (gone []registry.ImageID, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, repo)
		if err != nil {
			return err
		}
		gone, err = deleteImage(ctx, tx, r, id)
		return err
	})
	return gone, err
}

func deleteImage(ctx context.Context, tx *meta.Tx, r meta.Repository, id registry.ImageID) ([]registry.ImageID, error) {
	d := id.Digest
	if id.Tag != "" {
		tagged, err := tx.TagDigest(ctx, r, id.Tag)
		if err != nil {
			return nil, err
		}
		if d != "" && d != tagged {
			return nil, registry.ErrTagMismatch
		}
		d = tagged
	}
	tags, err := tx.ImageTags(ctx, r, d)
	if err != nil {
		return nil, err
	}
	if id.Tag != "" && len(tags) > 1 {
		return []registry.ImageID{{Digest: d, Tag: id.Tag}}, tx.DeleteTag(ctx, r, id.Tag)
	}
	if err := tx.DeleteManifest(ctx, r, d); err != nil {
		return nil, err
	}
	gone := []registry.ImageID{{Digest: d}}
	if len(tags) > 0 {
		gone = gone[:0]
	}
	for _, t := range slices.Sorted(slices.Values(tags)) {
		gone = append(gone, registry.ImageID{Digest: d, Tag: t})
	}
	return gone, nil
}
