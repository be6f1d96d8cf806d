package engine

import (
	"context"
	"fmt"

	"berth/registry"
	"berth/storage/meta"
)

// RegistryUsage implements [registry.Space].
func (e *Engine) RegistryUsage(ctx context.Context) (bytes int64, err error) {
	return e.meta.RegistryUsage(ctx)
}

// RepositoryUsage implements [registry.Space].
func (e *Engine) RepositoryUsage(ctx context.Context, repo registry.Name) (registry.RepositoryUsage, error) {
	return e.meta.RepositoryUsage(ctx, repo)
}

// Freed implements [registry.Space].
func (e *Engine) Freed(ctx context.Context, repo registry.Name, ref registry.Reference) (f registry.Freed, err error) {
	err = e.meta.Snapshot(ctx, func(s *meta.Snapshot) error {
		f, err = s.Freed(ctx, repo, ref)
		return err
	})
	return f, err
}

// Quotas implements [registry.Space].
func (e *Engine) Quotas(ctx context.Context) ([]registry.Quota, error) { return e.meta.Quotas(ctx) }

// SetQuota implements [registry.Space].
func (e *Engine) SetQuota(ctx context.Context, prefix string, bytes int64) error {
	return e.meta.SetQuota(ctx, prefix, bytes)
}

// RemoveQuota implements [registry.Space].
func (e *Engine) RemoveQuota(ctx context.Context, prefix string) error {
	return e.meta.RemoveQuota(ctx, prefix)
}

// usage compares how much room is said to be taken with what is there.
func (i *inspection) usage(ctx context.Context) error {
	var found []meta.Miscount
	err := i.engine.meta.Snapshot(ctx, func(s *meta.Snapshot) (err error) {
		found, err = s.Miscounts(ctx)
		return err
	})
	if err != nil || len(found) == 0 {
		return err
	}
	if i.check.Repair {
		if err := i.engine.meta.Recount(ctx); err != nil {
			return err
		}
	}
	for _, m := range found {
		p := Problem{Kind: Miscounted, Repaired: i.check.Repair, Message: fmt.Sprintf("%s: %d were counted, there are %d", m.What, m.Counted, m.Sum)}
		if err := i.found(p); err != nil {
			return err
		}
	}
	return nil
}
