package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// StatManifest implements [registry.Reader].
func (e *Engine) StatManifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Descriptor, error) {
	return e.meta.StatManifest(ctx, repo, ref)
}

// Manifest implements [registry.Reader].
func (e *Engine) Manifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	return e.meta.Manifest(ctx, repo, ref)
}

// Referrers implements [registry.Lister]. Every manifest with a subject is recorded
// as it is pushed, so an index under the tag that clients of older registries keep
// (sha256-<hex>) adds nothing: what it lists is here already, or is not pushed yet.
func (e *Engine) Referrers(ctx context.Context, repo registry.Name, q registry.ReferrersQuery) ([]registry.Referrer, bool, error) {
	return e.meta.Referrers(ctx, repo, q)
}

// PutManifest implements [registry.Writer].
func (e *Engine) PutManifest(ctx context.Context, repo registry.Name, m registry.Manifest, tags []registry.Tag) (registry.Content, error) {
	content, err := registry.ParseManifest(m.MediaType, m.Bytes)
	if err != nil {
		return content, err
	}
	if got := m.Digest.Algorithm().FromBytes(m.Bytes); got != m.Digest {
		return content, registry.ErrDigestInvalid.With("the manifest has the digest %s, not %s", got, m.Digest)
	}
	if err := e.room(ctx, len(m.Bytes)); err != nil {
		return content, err
	}
	return content, e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := e.repository(ctx, tx, repo)
		if err != nil {
			return err
		}
		id, err := tx.ManifestID(ctx, r, m.Digest)
		if errors.Is(err, registry.ErrManifestUnknown) {
			id, err = e.addManifest(ctx, tx, r, m, content)
		}
		if err != nil {
			return err
		}
		for _, t := range tags {
			if err := tx.PutTag(ctx, r, t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// addManifest records a manifest whose references are all there.
func (e *Engine) addManifest(ctx context.Context, tx *meta.Tx, r meta.Repository, m registry.Manifest, c registry.Content) (int64, error) {
	id, err := tx.PutManifest(ctx, r, m, c)
	if err != nil {
		return 0, err
	}
	sparse := e.opts.AllowSparse(r.Name)
	var missing []digest.Digest
	refer := func(d digest.Digest, absent bool) error {
		present, err := tx.ReferToBlob(ctx, r, id, d, absent)
		if err == nil && !present && !absent {
			missing = append(missing, d)
		}
		return err
	}
	if c.Config != nil {
		if err := refer(c.Config.Digest, sparse); err != nil {
			return 0, err
		}
	}
	for _, layer := range c.Layers {
		if err := refer(layer.Digest, sparse || !registry.Distributable(layer)); err != nil {
			return 0, err
		}
	}
	for _, child := range c.Manifests {
		present, err := tx.ReferToManifest(ctx, r, id, child.Digest, false)
		if err == nil && !present {
			// BuildKit keeps caches as an index that lists blobs.
			present, err = tx.ReferToBlob(ctx, r, id, child.Digest, false)
		}
		if err == nil && !present && sparse {
			present, err = true, e.expectManifest(ctx, tx, r, id, child.Digest)
		}
		if err != nil {
			return 0, err
		}
		if !present {
			missing = append(missing, child.Digest)
		}
	}
	if len(missing) > 0 {
		return 0, missingError(r.Name, missing)
	}
	return id, nil
}

// expectManifest records that an index names a manifest which is not there.
func (e *Engine) expectManifest(ctx context.Context, tx *meta.Tx, r meta.Repository, indexID int64, d digest.Digest) error {
	_, err := tx.ReferToManifest(ctx, r, indexID, d, true)
	return err
}

func missingError(repo registry.Name, missing []digest.Digest) error {
	const shown = 5
	var list []string
	for _, d := range missing[:min(shown, len(missing))] {
		list = append(list, d.String())
	}
	more := ""
	if len(missing) > shown {
		more = ", …"
	}
	return registry.ErrManifestBlobUnknown.
		With("repository %q lacks %d of the blobs or manifests that this manifest names: %s%s; push those first",
			repo, len(missing), strings.Join(list, ", "), more).
		WithDetail(map[string]any{"digests": missing})
}

// DeleteManifest implements [registry.Deleter].
func (e *Engine) DeleteManifest(ctx context.Context, repo registry.Name, d digest.Digest) error {
	return e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, repo)
		if err != nil {
			return err
		}
		return tx.DeleteManifest(ctx, r, d)
	})
}
