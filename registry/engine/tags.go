package engine

import (
	"context"

	"berth/registry"
	"berth/storage/meta"
)

// Tags implements [registry.Lister].
func (e *Engine) Tags(ctx context.Context, repo registry.Name, last registry.Tag, limit int) ([]registry.Tag, error) {
	return e.meta.Tags(ctx, repo, last, limit)
}

// DeleteTag implements [registry.Deleter].
func (e *Engine) DeleteTag(ctx context.Context, repo registry.Name, t registry.Tag) error {
	return e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.Repository(ctx, repo)
		if err != nil {
			return err
		}
		return tx.DeleteTag(ctx, r, t)
	})
}
