package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// RestoreImage implements [registry.History].
func (e *Engine) RestoreImage(ctx context.Context, repo registry.Name, id registry.ImageID, how registry.Restoration) (restored registry.Restored, err error) {
	ctx = because(ctx, "restore")
	err = e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := e.lockRepository(ctx, tx, repo)
		if err != nil {
			return err
		}
		d := id.Digest
		if d == "" {
			if d, err = tx.DeletedImageOf(ctx, repo, id.Tag); err != nil {
				return err
			}
		}
		wanted := func(t registry.Tag) bool { return len(how.Tags) == 0 || slices.Contains(how.Tags, t) }
		x := e.restoring(tx, r, wanted, how)
		if err := x.restore(ctx, d); err != nil {
			return err
		}
		restored = x.Restored
		restored.Image, err = tx.Image(ctx, r, d)
		return err
	})
	return restored, err
}

// lockRepository finds the repository into which something is brought back, or makes it anew.
func (e *Engine) lockRepository(ctx context.Context, tx *meta.Tx, name registry.Name) (meta.Repository, error) {
	return e.findOrMake(ctx, tx, name, tx.LockRepository, true)
}

// restoration brings deleted images back in one transaction, which has locked the repository.
type restoration struct {
	registry.Restored
	engine *Engine
	tx     *meta.Tx
	repo   meta.Repository
	wanted func(registry.Tag) bool // of the tags that an image had
	how    registry.Restoration

	checked map[digest.Digest][]digest.Digest // what is missing of images
}

func (e *Engine) restoring(tx *meta.Tx, r meta.Repository, wanted func(registry.Tag) bool, how registry.Restoration) *restoration {
	return &restoration{engine: e, tx: tx, repo: r, wanted: wanted, how: how, checked: map[digest.Digest][]digest.Digest{}}
}

// restore brings an image back with what it lists and what refers to any of it.
func (x *restoration) restore(ctx context.Context, d digest.Digest) error {
	image, err := x.tx.DeletedImage(ctx, x.repo.Name, d)
	if err != nil {
		if _, there := x.tx.ManifestID(ctx, x.repo, d); there == nil {
			err = registry.ErrImageExists.With("repository %q has the image %s; berth tag rollback --to gives it a tag back", x.repo.Name, d)
		}
		return err
	}
	for _, t := range x.how.Tags {
		if !slices.Contains(image.Tags, t) {
			return registry.ErrTagMismatch.With("the image %s did not have the tag %q when it was deleted", d, t)
		}
	}
	if err := x.tx.HoldQuotas(ctx, x.repo.Name); err != nil {
		return err
	}
	missing, err := x.missing(ctx, image)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return missingError(x.repo.Name, missing)
	}
	back, err := x.put(ctx, image)
	for ; err == nil && len(back) > 0; back = back[1:] {
		if back[0].Digest != d {
			x.With = append(x.With, back[0].Digest)
		}
		var referrers []registry.DeletedImage
		if referrers, err = x.referrers(ctx, back[0]); err == nil {
			back = append(back, referrers...)
		}
	}
	return err
}

// missing lists what an image needs that is gone. What is not gone stays until the transaction
// ends.
func (x *restoration) missing(ctx context.Context, image registry.DeletedImage) ([]digest.Digest, error) {
	if missing, checked := x.checked[image.Digest]; checked {
		return missing, nil
	}
	m, err := x.tx.DeletedPayload(ctx, image)
	if err != nil {
		return nil, err
	}
	c, err := registry.ParseManifest(m.MediaType, m.Bytes)
	if err != nil {
		return nil, err
	}
	var missing []digest.Digest
	for _, b := range needed(image, c) {
		known, err := x.tx.KnowsBlob(ctx, b)
		if err != nil {
			return nil, err
		}
		if !known {
			missing = append(missing, b)
		}
	}
	for _, child := range c.Manifests {
		if slices.Contains(image.Absent, child.Digest) {
			continue
		}
		lacks, err := x.missingChild(ctx, child.Digest)
		if err != nil {
			return nil, err
		}
		missing = append(missing, lacks...)
	}
	x.checked[image.Digest] = missing
	return missing, nil
}

// needed are the blobs that an image had. What it had not, it does not need, and does not get:
// another repository may have it.
func needed(image registry.DeletedImage, c registry.Content) (blobs []digest.Digest) {
	need := func(d digest.Digest) {
		if !slices.Contains(image.Absent, d) {
			blobs = append(blobs, d)
		}
	}
	if c.Config != nil {
		need(c.Config.Digest)
	}
	for _, layer := range c.Layers {
		need(layer.Digest)
	}
	return blobs
}

// missingChild is missing of what an index lists, which may be a blob.
func (x *restoration) missingChild(ctx context.Context, d digest.Digest) ([]digest.Digest, error) {
	child, what, err := x.find(ctx, d)
	switch {
	case err != nil || what == present:
		return nil, err
	case what == deleted:
		return x.missing(ctx, child)
	}
	known, err := x.tx.KnowsBlob(ctx, d)
	if err == nil && !known {
		return []digest.Digest{d}, nil
	}
	return nil, err
}

// state is what the repository has of a manifest.
type state int

const (
	unknown state = iota
	present
	deleted // and not pushed again
)

func (x *restoration) find(ctx context.Context, d digest.Digest) (image registry.DeletedImage, what state, err error) {
	_, err = x.tx.ManifestID(ctx, x.repo, d)
	if !errors.Is(err, registry.ErrManifestUnknown) {
		return image, present, err
	}
	image, err = x.tx.DeletedImage(ctx, x.repo.Name, d)
	if errors.Is(err, registry.ErrManifestUnknown) {
		return image, unknown, nil
	}
	return image, deleted, err
}

// put brings back an image of which nothing is missing, after what it lists. It returns all
// that it has brought back, the image first.
func (x *restoration) put(ctx context.Context, image registry.DeletedImage) (back []registry.DeletedImage, err error) {
	back = append(back, image)
	id, err := x.tx.ManifestID(ctx, x.repo, image.Digest)
	if err == nil { // pushed again
		return back, errors.Join(x.tx.ForgetDeleted(ctx, x.repo, image.Digest), x.tags(ctx, image, id))
	}
	if !errors.Is(err, registry.ErrManifestUnknown) {
		return nil, err
	}
	m, err := x.tx.DeletedPayload(ctx, image)
	if err != nil {
		return nil, err
	}
	c, err := registry.ParseManifest(m.MediaType, m.Bytes)
	if err != nil {
		return nil, err
	}
	blobs := needed(image, c)
	for _, d := range c.Manifests {
		child, what, err := x.find(ctx, d.Digest)
		if err != nil {
			return nil, err
		}
		switch {
		case what == deleted:
			more, err := x.put(ctx, child)
			if err != nil {
				return nil, err
			}
			back = append(back, more...)
		case what == unknown && !slices.Contains(image.Absent, d.Digest):
			blobs = append(blobs, d.Digest) // BuildKit's caches list blobs
		}
	}
	slices.Sort(blobs) // as garbage collection takes them
	for _, d := range blobs {
		if err := x.tx.LinkBlob(ctx, x.repo, d); err != nil {
			return nil, err
		}
	}
	if id, err = x.engine.addManifest(ctx, x.tx, x.repo, m, c); err != nil {
		return nil, err
	}
	if err := x.tx.Undelete(ctx, x.repo, id, image); err != nil {
		return nil, err
	}
	if err := noteVEX(ctx, x.tx, x.repo, m.Digest, c, image.Tags); err != nil {
		return nil, err
	}
	x.New = true
	if image.Class != registry.Archive {
		if err := x.engine.scanOnPush(ctx, x.tx, x.repo, image.Digest, c); err != nil {
			return nil, err
		}
	}
	return back, x.tags(ctx, image, id)
}

// tags gives an image the tags back that it may have.
func (x *restoration) tags(ctx context.Context, image registry.DeletedImage, id int64) error {
	for _, t := range image.Tags {
		if !x.wanted(t) {
			continue
		}
		on, err := x.tx.TagDigest(ctx, x.repo, t)
		free := errors.Is(err, registry.ErrManifestUnknown)
		switch {
		case err != nil && !free:
			return err
		case !free && on != image.Digest && (!x.how.MoveTags || x.repo.Mutability.Fixed(t)):
			x.Taken = append(x.Taken, registry.ImageID{Digest: on, Tag: t})
			continue
		}
		if err := x.tx.PutTag(ctx, x.repo, t, id, image.Digest); err != nil {
			return err
		}
		x.Tags = append(x.Tags, registry.ImageID{Digest: image.Digest, Tag: t})
	}
	return nil
}

// referrers brings back what refers to an image, as far as it can be.
func (x *restoration) referrers(ctx context.Context, subject registry.DeletedImage) (back []registry.DeletedImage, err error) {
	found, err := x.tx.DeletedReferrers(ctx, x.repo.Name, subject)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		_, what, err := x.find(ctx, r.Digest)
		if err != nil {
			return nil, err
		}
		if what != deleted {
			continue // it has come back as a child, or was pushed again
		}
		missing, err := x.missing(ctx, r)
		if err != nil {
			return nil, err
		}
		if len(missing) > 0 {
			x.Left = append(x.Left, r.Digest)
			continue
		}
		more, err := x.put(ctx, r)
		if err != nil {
			return nil, err
		}
		back = append(back, more...)
	}
	return back, nil
}
