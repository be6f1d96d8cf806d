package engine

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// Repositories implements [registry.Lister].
func (e *Engine) Repositories(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	return e.meta.Repositories(ctx, last, limit)
}

// CreateRepository makes an empty repository, unless it is there already.
func (e *Engine) CreateRepository(ctx context.Context, name registry.Name) (created bool, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		_, err := tx.Repository(ctx, name)
		if created = errors.Is(err, registry.ErrNameUnknown); created {
			_, err = tx.EnsureRepository(ctx, name)
		}
		return err
	})
	return created && err == nil, err
}

// DeleteRepository removes a repository. One that still holds images is removed
// only if force is set. A large one goes in steps, during which others can push;
// what they push to it meanwhile goes too, or keeps it alive.
// Errors: ErrNameUnknown, ErrNotEmpty.
func (e *Engine) DeleteRepository(ctx context.Context, name registry.Name, force bool) error {
	if force {
		if err := e.deleteManifests(ctx, name); err != nil {
			return err
		}
	}
	const step = 200
	for done := false; !done; {
		err := e.meta.Update(ctx, func(tx *meta.Tx) error {
			r, err := tx.LockRepository(ctx, name)
			if err != nil {
				return err
			}
			done, err = tx.DeleteRepository(ctx, r, step)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteManifests removes all manifests of a repository. Those that an index holds
// are passed over until a later round has removed the index.
func (e *Engine) deleteManifests(ctx context.Context, name registry.Name) error {
	const step = 100
	var last digest.Digest
	for deleted := 0; ; {
		var page []digest.Digest
		err := e.meta.Update(ctx, func(tx *meta.Tx) error {
			r, err := tx.LockRepository(ctx, name)
			if err != nil {
				return err
			}
			if page, err = tx.Manifests(ctx, r, last, step); err != nil {
				return err
			}
			n, err := tx.DeleteUnheldManifests(ctx, r, page)
			deleted += n
			return err
		})
		if err != nil {
			return err
		}
		if len(page) == step {
			last = page[len(page)-1]
			continue
		}
		if deleted == 0 {
			return nil
		}
		last, deleted = "", 0
	}
}

// Repository describes a repository. Errors: ErrNameUnknown.
func (e *Engine) Repository(ctx context.Context, name registry.Name) (meta.Repository, error) {
	return e.meta.Repository(ctx, name)
}
