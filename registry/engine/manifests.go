package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// StatManifest implements [registry.Reader]. Most clients that hear that an image is there push
// nothing of it. So those who may push hear that it is not if a blob of it is lost, as they
// hear of the blob.
func (e *Engine) StatManifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Descriptor, error) {
	m, err := e.meta.StatManifest(ctx, repo, ref)
	if err != nil || !e.lossy.any(ctx, e.meta.AnyLost) || !registry.FromPusher(ctx) {
		return m, err
	}
	lost, err := e.meta.LostBlob(ctx, repo, m.Digest)
	if err == nil && lost != "" {
		err = registry.ErrManifestUnknown.With("the registry has lost blob %s of this image; push the image again", lost)
	}
	return m, err
}

// Manifest implements [registry.Reader].
func (e *Engine) Manifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	m, err := e.meta.Manifest(ctx, repo, ref)
	if err == nil {
		e.pulls.note(ctx, repo, m.Digest)
	}
	return m, err
}

// Referrers implements [registry.Lister]. Every manifest with a subject is recorded
// as it is pushed, so an index under the tag that clients of older registries keep
// (sha256-<hex>) adds nothing: what it lists is here already, or is not pushed yet.
func (e *Engine) Referrers(ctx context.Context, repo registry.Name, q registry.ReferrersQuery) ([]registry.Referrer, bool, error) {
	return e.meta.Referrers(ctx, repo, q)
}

// PutManifest implements [registry.Writer].
func (e *Engine) PutManifest(ctx context.Context, repo registry.Name, m registry.Manifest, tags []registry.Tag) (registry.Content, error) {
	return e.putManifest(ctx, repo, m, tags, e.repository, nil)
}

// PutImage implements [registry.Images]. It creates no repository.
func (e *Engine) PutImage(ctx context.Context, repo registry.Name, m registry.Manifest, t registry.Tag) (registry.Content, error) {
	var tags []registry.Tag
	if t != "" {
		tags = []registry.Tag{t}
	}
	find := func(ctx context.Context, tx *meta.Tx, name registry.Name) (meta.Repository, error) {
		return tx.Repository(ctx, name)
	}
	return e.putManifest(ctx, repo, m, tags, find, func(tx *meta.Tx, r meta.Repository) error {
		if t == "" {
			return registry.ErrImageExists
		}
		switch d, err := tx.TagDigest(ctx, r, t); {
		case errors.Is(err, registry.ErrManifestUnknown):
			return nil
		case err != nil:
			return err
		case r.Mutability.Fixed(t):
			return registry.TagFixed(r.Name, t)
		case d == m.Digest:
			return registry.ErrImageExists
		}
		return nil
	})
}

// putManifest stores a manifest. If it is there already, known says whether to go on to
// its tags, unless that is nil.
func (e *Engine) putManifest(ctx context.Context, repo registry.Name, m registry.Manifest, tags []registry.Tag,
	find func(context.Context, *meta.Tx, registry.Name) (meta.Repository, error), known func(*meta.Tx, meta.Repository) error,
) (registry.Content, error) {
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
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := find(ctx, tx, repo)
		if err != nil {
			return err
		}
		id, err := tx.ManifestID(ctx, r, m.Digest)
		switch {
		case errors.Is(err, registry.ErrManifestUnknown):
			id, err = e.addManifest(ctx, tx, r, m, content)
		case err == nil:
			var restored bool
			if restored, err = tx.ActivateManifest(ctx, r, m.Digest); err == nil && !restored && known != nil {
				err = known(tx, r)
			}
		}
		if err != nil {
			return err
		}
		for _, t := range tags {
			if err := tx.PutTag(ctx, r, t, id, m.Digest); err != nil {
				return err
			}
		}
		if err := noteVEX(ctx, tx, r, m.Digest, content, tags); err != nil {
			return err
		}
		return e.scanOnPush(ctx, tx, r, m.Digest, content)
	})
	if err == nil {
		e.warn(ctx, repo)
	}
	return content, err
}

// addManifest records a manifest whose references are all there.
func (e *Engine) addManifest(ctx context.Context, tx *meta.Tx, r meta.Repository, m registry.Manifest, c registry.Content) (int64, error) {
	id, err := tx.PutManifest(ctx, r, m, c)
	if err != nil {
		return 0, err
	}
	sparse := e.opts.AllowSparse(r.Name)
	var missing []digest.Digest
	type reference struct {
		digest digest.Digest
		absent bool // may be
	}
	var blobs []reference
	if c.Config != nil {
		blobs = append(blobs, reference{c.Config.Digest, sparse})
	}
	for _, layer := range c.Layers {
		blobs = append(blobs, reference{layer.Digest, sparse || !registry.Distributable(layer)})
	}
	// In the order in which garbage collection takes them.
	slices.SortFunc(blobs, func(a, b reference) int { return cmp.Compare(a.digest, b.digest) })
	for _, b := range blobs {
		present, err := tx.ReferToBlob(ctx, r, id, b.digest, b.absent)
		if err != nil {
			return 0, err
		}
		if !present && !b.absent {
			missing = append(missing, b.digest)
		}
	}
	children := slices.Clone(c.Manifests)
	slices.SortFunc(children, func(a, b registry.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	for _, child := range children {
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
