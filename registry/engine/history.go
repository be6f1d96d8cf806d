package engine

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// DeletedImages implements [registry.History].
func (e *Engine) DeletedImages(ctx context.Context, repo registry.Name, last digest.Digest, limit int) ([]registry.DeletedImage, error) {
	return e.meta.DeletedImages(ctx, repo, last, limit)
}

// TagHistory implements [registry.History].
func (e *Engine) TagHistory(ctx context.Context, repo registry.Name, q registry.TagHistoryQuery) ([]registry.TagChange, error) {
	return e.meta.TagHistory(ctx, repo, q)
}

// TagAt implements [registry.History].
func (e *Engine) TagAt(ctx context.Context, repo registry.Name, t registry.Tag, at time.Time) (registry.TagChange, error) {
	return e.meta.TagAt(ctx, repo, t, at)
}

// RollbackTag implements [registry.History].
func (e *Engine) RollbackTag(ctx context.Context, repo registry.Name, t registry.Tag, to registry.RollbackTarget) (registry.TagChange, registry.Restored, error) {
	ctx = because(ctx, "rollback")
	change := registry.TagChange{Tag: t, Cause: registry.CauseFrom(ctx)}
	var restored registry.Restored
	err := e.meta.Update(ctx, func(tx *meta.Tx) error {
		restored = registry.Restored{}
		r, err := e.lockRepository(ctx, tx, repo)
		if err != nil {
			return err
		}
		change.Was, err = tx.TagDigest(ctx, r, t)
		if err != nil && !errors.Is(err, registry.ErrManifestUnknown) {
			return err
		}
		if change.Digest, err = rollbackTarget(ctx, tx, repo, change, to); err != nil {
			return err
		}
		switch {
		case change.Digest == change.Was:
			return registry.ErrImageExists.With("the tag %q of repository %q points at %s already", t, repo, change.Digest)
		case change.Was != "" && r.Mutability.Fixed(t):
			return registry.ErrTagFixed.With("the tag %q of repository %q is immutable; "+
				"delete the tag and roll it back to %s then, or make the tags of the repository mutable", t, repo, change.Digest)
		}
		id, err := tx.ManifestID(ctx, r, change.Digest)
		if errors.Is(err, registry.ErrManifestUnknown) {
			x := e.restoring(tx, r, func(registry.Tag) bool { return false }, registry.Restoration{})
			if err = x.restore(ctx, change.Digest); err == nil {
				id, err = tx.ManifestID(ctx, r, change.Digest)
			}
			restored = x.Restored
		}
		if err != nil {
			return err
		}
		if err := tx.PutTag(ctx, r, t, id, change.Digest); err != nil {
			return err
		}
		found, err := tx.TagHistory(ctx, repo, registry.TagHistoryQuery{Tag: t, Limit: 1})
		if err == nil {
			change = found[0]
			restored.Image, err = tx.Image(ctx, r, change.Digest)
		}
		return err
	})
	return change, restored, err
}

// rollbackTarget is the image that a tag is to point at again.
func rollbackTarget(ctx context.Context, tx *meta.Tx, repo registry.Name, now registry.TagChange, to registry.RollbackTarget) (digest.Digest, error) {
	switch {
	case to.Digest != "":
		return to.Digest, nil
	case !to.At.IsZero():
		then, err := tx.TagAt(ctx, repo, now.Tag, to.At)
		return then.Digest, err
	}
	return tx.TagBefore(ctx, repo, now.Tag, now.Was)
}

// because adds to a context why something changes, unless it says so.
func because(ctx context.Context, why string) context.Context {
	cause := registry.CauseFrom(ctx)
	if cause.Why == "" {
		cause.Why = why
	}
	return registry.WithCause(ctx, cause)
}
