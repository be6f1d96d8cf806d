package engine

import (
	"context"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// SetStorageClass implements [registry.Images].
func (e *Engine) SetStorageClass(ctx context.Context, repo registry.Name, id registry.ImageID, class registry.StorageClass) (registry.Image, error) {
	image, err := e.Image(ctx, repo, id)
	if err != nil {
		return image, err
	}
	d := image.Digest
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, repo)
		if err != nil {
			return err
		}
		if class == registry.Archive {
			indexes, err := tx.ActiveIndexes(ctx, r, d)
			if err != nil {
				return err
			}
			if len(indexes) > 0 {
				return registry.ErrManifestReferenced.With("the image belongs to the index %s; archive that", indexes[0])
			}
		}
		changed, err := setClass(ctx, tx, r, d, class)
		if err == nil && class == registry.Standard {
			err = e.scanOnReturn(ctx, tx, r, changed)
		}
		if err != nil {
			return err
		}
		image, err = tx.Image(ctx, r, d)
		return err
	})
	return image, err
}

// setClass archives or restores an image and what goes with it, and says which has changed.
// What an index that stays lists is not archived.
func setClass(ctx context.Context, tx *meta.Tx, r meta.Repository, d digest.Digest, class registry.StorageClass) (changed []digest.Digest, err error) {
	change := tx.ActivateManifest
	if class == registry.Archive {
		change = tx.ArchiveManifest
	}
	seen := map[digest.Digest]bool{d: true}
	for queue := []digest.Digest{d}; len(queue) > 0; queue = queue[1:] {
		if class == registry.Archive && queue[0] != d {
			indexes, err := tx.ActiveIndexes(ctx, r, queue[0])
			if err != nil {
				return nil, err
			}
			if len(indexes) > 0 {
				continue
			}
		}
		done, err := change(ctx, r, queue[0])
		if err != nil {
			return nil, err
		}
		if done {
			changed = append(changed, queue[0])
		}
		dependents, err := tx.Dependents(ctx, r, queue[0])
		if err != nil {
			return nil, err
		}
		for _, next := range dependents {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return changed, nil
}
