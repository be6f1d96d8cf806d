package engine

import (
	"context"
	"encoding/json"

	"berth/registry"
	"berth/storage/meta"
)

// StartLifecyclePreview implements [registry.Previews].
func (e *Engine) StartLifecyclePreview(ctx context.Context, name registry.Name, text json.RawMessage) (registry.LifecyclePreview, error) {
	started := registry.LifecyclePreview{Policy: text, Status: registry.PreviewRunning}
	err := e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, name)
		if err != nil {
			return err
		}
		if text == nil {
			p, err := tx.LifecyclePolicy(ctx, r)
			if err == nil && p.Text == nil {
				err = registry.ErrNotSet
			}
			if err != nil {
				return err
			}
			started.Policy = p.Text
		}
		return tx.StartLifecyclePreview(ctx, r, string(started.Policy))
	})
	return started, err
}

// LifecyclePreview implements [registry.Previews].
func (e *Engine) LifecyclePreview(ctx context.Context, name registry.Name, q registry.PreviewQuery) (registry.LifecyclePreview, bool, error) {
	r, err := e.meta.Repository(ctx, name)
	if err != nil {
		return registry.LifecyclePreview{}, false, err
	}
	p, err := e.meta.LifecyclePreview(ctx, r, q)
	return p, q.Digests == nil && len(p.Images) == q.Limit, err
}
