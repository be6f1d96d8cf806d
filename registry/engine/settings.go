package engine

import (
	"context"
	"encoding/json"

	"berth/registry"
	"berth/storage/meta"
)

// setting is what is kept as text, where nothing is ErrNotSet.
func setting(text string, err error) (json.RawMessage, error) {
	if err == nil && text == "" {
		err = registry.ErrNotSet
	}
	if err != nil {
		return nil, err
	}
	return json.RawMessage(text), nil
}

// Setting implements [registry.RegistrySettings].
func (e *Engine) Setting(ctx context.Context, name registry.Setting) (json.RawMessage, error) {
	return setting(e.meta.Setting(ctx, name))
}

// SetSetting implements [registry.RegistrySettings].
func (e *Engine) SetSetting(ctx context.Context, name registry.Setting, value json.RawMessage) (was json.RawMessage, err error) {
	err = e.meta.UpdateAccess(ctx, func(tx *meta.Tx) error {
		text, err := tx.Setting(ctx, name)
		if err != nil {
			return err
		}
		if text != "" {
			was = json.RawMessage(text)
		} else if value == nil {
			return registry.ErrNotSet
		}
		return tx.PutSetting(ctx, name, string(value))
	})
	return was, err
}

// CreationTemplate implements [registry.RegistrySettings].
func (e *Engine) CreationTemplate(ctx context.Context, prefix string) (registry.CreationTemplate, error) {
	return e.meta.CreationTemplate(ctx, prefix)
}

// CreationTemplates implements [registry.RegistrySettings].
func (e *Engine) CreationTemplates(ctx context.Context, last string, limit int) ([]registry.CreationTemplate, error) {
	return e.meta.CreationTemplates(ctx, last, limit)
}

// AddCreationTemplate implements [registry.RegistrySettings].
func (e *Engine) AddCreationTemplate(ctx context.Context, t registry.CreationTemplate) (made registry.CreationTemplate, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		made, err = tx.AddCreationTemplate(ctx, t)
		return err
	})
	return made, err
}

// ChangeCreationTemplate implements [registry.RegistrySettings].
func (e *Engine) ChangeCreationTemplate(ctx context.Context, prefix string, change func(*registry.CreationTemplate) error) (changed registry.CreationTemplate, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		t, err := tx.LockCreationTemplate(ctx, prefix)
		if err != nil {
			return err
		}
		if err := change(&t); err != nil {
			return err
		}
		changed, err = tx.PutCreationTemplate(ctx, t)
		return err
	})
	return changed, err
}

// DeleteCreationTemplate implements [registry.RegistrySettings].
func (e *Engine) DeleteCreationTemplate(ctx context.Context, prefix string) (was registry.CreationTemplate, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		if was, err = tx.CreationTemplate(ctx, prefix); err != nil {
			return err
		}
		return tx.DeleteCreationTemplate(ctx, prefix)
	})
	return was, err
}

// PullTimeExclusions implements [registry.RegistrySettings].
func (e *Engine) PullTimeExclusions(ctx context.Context, last string, limit int) ([]registry.PullTimeExclusion, error) {
	return e.meta.PullTimeExclusions(ctx, last, limit)
}

// ExcludePullTime implements [registry.RegistrySettings].
func (e *Engine) ExcludePullTime(ctx context.Context, principal string, limit int) (added registry.PullTimeExclusion, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		added, err = tx.ExcludePullTime(ctx, principal, limit)
		return err
	})
	return added, err
}

// IncludePullTime implements [registry.RegistrySettings].
func (e *Engine) IncludePullTime(ctx context.Context, principal string) error {
	return e.meta.Update(ctx, func(tx *meta.Tx) error { return tx.IncludePullTime(ctx, principal) })
}
