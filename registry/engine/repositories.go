package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// Repositories implements [registry.Lister].
func (e *Engine) Repositories(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	return e.meta.Repositories(ctx, last, limit)
}

// repository finds the repository that is pushed to, or makes it: as a template says, or
// else as it comes if pushing creates repositories.
func (e *Engine) repository(ctx context.Context, tx *meta.Tx, name registry.Name) (meta.Repository, error) {
	return e.findOrMake(ctx, tx, name, tx.Repository, e.opts.CreateOnPush)
}

// findOrMake finds and locks a repository, or makes it: as a template says, or else as it comes
// if plain is set.
func (e *Engine) findOrMake(ctx context.Context, tx *meta.Tx, name registry.Name,
	find func(context.Context, registry.Name) (meta.Repository, error), plain bool,
) (meta.Repository, error) {
	for {
		r, unknown := find(ctx, name)
		if !errors.Is(unknown, registry.ErrNameUnknown) {
			return r, unknown
		}
		r, created, err := e.makeRepository(ctx, tx, name, plain)
		if errors.Is(err, registry.ErrNotSet) {
			err = unknown
		}
		if created || err != nil {
			return r, err
		} // else somebody else has just made it
	}
}

// makeRepository makes a repository as a template says, or else, if plain is set, as it comes.
// Errors: ErrNotSet (there is no template).
func (e *Engine) makeRepository(ctx context.Context, tx *meta.Tx, name registry.Name, plain bool) (r meta.Repository, created bool, err error) {
	t, err := tx.TemplateFor(ctx, name, registry.CreateOnPush)
	if plain && errors.Is(err, registry.ErrNotSet) {
		t, err = registry.CreationTemplate{}, nil
	}
	if err != nil {
		return r, false, err
	}
	r, created, err = tx.CreateRepository(ctx, name, t.Settings)
	if err != nil || !created {
		return r, false, err
	}
	if t.Policy != "" {
		err = tx.PutRepositoryPolicy(ctx, r, t.Policy)
	}
	if err == nil && t.Lifecycle != "" {
		err = tx.PutLifecyclePolicy(ctx, r, t.Lifecycle)
	}
	if err == nil && (t.Policy != "" || len(t.Settings.ResourceTags) > 0) {
		err = tx.AccessChanged(ctx)
	}
	return r, true, err
}

// mayPush reports whether there is a repository to push to, or will be.
func (e *Engine) mayPush(ctx context.Context, tx *meta.Tx, name registry.Name) error {
	if e.opts.CreateOnPush {
		return nil
	}
	_, unknown := tx.Repository(ctx, name)
	if !errors.Is(unknown, registry.ErrNameUnknown) {
		return unknown
	}
	_, err := tx.TemplateFor(ctx, name, registry.CreateOnPush)
	if errors.Is(err, registry.ErrNotSet) {
		return unknown
	}
	return err
}

// CreateRepository implements [registry.Repositories].
func (e *Engine) CreateRepository(ctx context.Context, name registry.Name, s registry.Settings) (registry.Repository, error) {
	var made meta.Repository
	err := e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		var created bool
		made, created, err = tx.CreateRepository(ctx, name, s)
		if err == nil && !created {
			err = registry.ErrNameTaken.With("repository %q is there already", name)
		}
		if err == nil && len(s.ResourceTags) > 0 {
			err = tx.AccessChanged(ctx)
		}
		return err
	})
	return made.Repository, err
}

// Repository implements [registry.Repositories].
func (e *Engine) Repository(ctx context.Context, name registry.Name) (registry.Repository, error) {
	r, err := e.meta.Repository(ctx, name)
	return r.Repository, err
}

// DescribeRepositories implements [registry.Repositories].
func (e *Engine) DescribeRepositories(ctx context.Context, last registry.Name, limit int) ([]registry.Repository, error) {
	return e.meta.DescribeRepositories(ctx, last, limit)
}

// ChangeSettings implements [registry.Repositories].
func (e *Engine) ChangeSettings(ctx context.Context, name registry.Name, change func(*registry.Settings) error) (registry.Repository, error) {
	var changed meta.Repository
	err := e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		if changed, err = tx.LockRepository(ctx, name); err != nil {
			return err
		}
		before := maps.Clone(changed.ResourceTags)
		if err := change(&changed.Settings); err != nil {
			return err
		}
		if !maps.Equal(before, changed.ResourceTags) {
			if err := tx.AccessChanged(ctx); err != nil {
				return err
			}
		}
		return tx.PutSettings(ctx, changed, changed.Settings)
	})
	return changed.Repository, err
}

// RepositoryPolicy implements [registry.Repositories].
func (e *Engine) RepositoryPolicy(ctx context.Context, name registry.Name) (json.RawMessage, error) {
	r, err := e.meta.Repository(ctx, name)
	if err != nil {
		return nil, err
	}
	return setting(e.meta.RepositoryPolicy(ctx, r))
}

// SetRepositoryPolicy implements [registry.Repositories].
func (e *Engine) SetRepositoryPolicy(ctx context.Context, name registry.Name, policy json.RawMessage) (was json.RawMessage, err error) {
	err = e.meta.UpdateAccess(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, name)
		if err != nil {
			return err
		}
		was, err = setting(tx.RepositoryPolicy(ctx, r))
		if err != nil && (policy == nil || !errors.Is(err, registry.ErrNotSet)) {
			return err
		}
		return tx.PutRepositoryPolicy(ctx, r, string(policy))
	})
	return was, err
}

// LifecyclePolicy implements [registry.Repositories].
func (e *Engine) LifecyclePolicy(ctx context.Context, name registry.Name) (registry.LifecyclePolicy, error) {
	r, err := e.meta.Repository(ctx, name)
	if err != nil {
		return registry.LifecyclePolicy{}, err
	}
	p, err := e.meta.LifecyclePolicy(ctx, r)
	if err == nil && p.Text == nil {
		err = registry.ErrNotSet
	}
	return p, err
}

// SetLifecyclePolicy implements [registry.Repositories].
func (e *Engine) SetLifecyclePolicy(ctx context.Context, name registry.Name, text json.RawMessage) (was registry.LifecyclePolicy, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, name)
		if err != nil {
			return err
		}
		if was, err = tx.LifecyclePolicy(ctx, r); err != nil {
			return err
		}
		if was.Text == nil && text == nil {
			return registry.ErrNotSet
		}
		return tx.PutLifecyclePolicy(ctx, r, string(text))
	})
	return was, err
}

// DeleteRepository implements [registry.Repositories].
func (e *Engine) DeleteRepository(ctx context.Context, name registry.Name, force bool) error {
	ctx = because(ctx, "the repository was deleted")
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
			if done, err = tx.DeleteRepository(ctx, r, step); done && err == nil {
				err = tx.AccessChanged(ctx) // its policy and its tags are gone
			}
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
		var n int
		err := e.meta.Update(ctx, func(tx *meta.Tx) error {
			r, err := tx.LockRepository(ctx, name)
			if err != nil {
				return err
			}
			if page, err = tx.Manifests(ctx, r, last, step); err != nil {
				return err
			}
			n, err = tx.DeleteUnheldManifests(ctx, r, page)
			return err
		})
		if err != nil {
			return err
		}
		deleted += n
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
