package engine_test

import (
	"testing"

	"berth/registry"
	"berth/registry/registrytest"
)

// TestArchive: an archived image is kept and not to be had, with what belongs to it, until it
// is restored or pushed again.
func TestArchive(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		one, two := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		index := registrytest.Recipe{}.Index(one, two)
		other := registrytest.Recipe{Seed: 3}.Index(two)
		subject := index.Descriptor()
		signature := registrytest.Recipe{Seed: 4, Subject: &subject}.Image()
		for _, image := range []registrytest.Image{one, two, index, other, signature} {
			want(t, "push", s.push(ctx, "a", image, registry.Tag("t"+image.Digest.Encoded()[:8])), nil)
		}
		can := func(what string, image registrytest.Image, expected error) {
			t.Helper()
			byTag := registry.Reference{Tag: registry.Tag("t" + image.Digest.Encoded()[:8])}
			for _, ref := range []registry.Reference{image.Reference(), byTag} {
				_, err := s.Manifest(ctx, "a", ref)
				want(t, "Manifest of "+what, err, expected)
				_, err = s.StatManifest(ctx, "a", ref)
				want(t, "StatManifest of "+what, err, expected)
			}
		}
		set := func(image registrytest.Image, class registry.StorageClass, expected error) registry.Image {
			t.Helper()
			changed, err := s.SetStorageClass(ctx, "a", registry.ImageID{Digest: image.Digest}, class)
			want(t, "SetStorageClass", err, expected)
			return changed
		}
		set(one, registry.Archive, registry.ErrManifestReferenced)
		archived := set(index, registry.Archive, nil)
		if archived.Class != registry.Archive || archived.ArchivedAt.IsZero() || !archived.ActivatedAt.IsZero() {
			t.Errorf("archived: %+v", archived)
		}
		can("the index", index, registry.ErrManifestUnknown)
		can("its image", one, registry.ErrManifestUnknown)
		can("its signature", signature, registry.ErrManifestUnknown)
		can("what another index lists", two, nil)
		tags, err := s.Tags(ctx, "a", "", 10)
		want(t, "Tags", err, nil)
		if len(tags) != 2 {
			t.Errorf("tags %v", tags)
		}
		for class, n := range map[registry.StorageClass]int{"": 5, registry.Standard: 2, registry.Archive: 3} {
			page, _, err := s.Images(ctx, "a", registry.ImagesQuery{Class: class, Limit: 10})
			want(t, "Images", err, nil)
			ids, _, err := s.ImageIDs(ctx, "a", registry.ImagesQuery{Class: class, Limit: 10})
			want(t, "ImageIDs", err, nil)
			if len(page) != n || len(ids) != n {
				t.Errorf("%d images and %d names of class %q, want %d", len(page), len(ids), class, n)
			}
		}
		want(t, "what is archived is no garbage", s.clean(9), nil) // three images of three blobs each
		want(t, "push", s.push(ctx, "a", one), nil)
		can("what was pushed again", one, nil)
		restored := set(index, registry.Standard, nil)
		if restored.Class != registry.Standard || restored.ArchivedAt.IsZero() || restored.ActivatedAt.IsZero() {
			t.Errorf("restored: %+v", restored)
		}
		for what, image := range map[string]registrytest.Image{"the index": index, "its image": one, "its signature": signature} {
			can(what, image, nil)
		}
		want(t, "push", s.push(ctx, "a", signature), nil)
		set(index, registry.Archive, nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", index.Digest), nil)
		_, err = s.PutImage(ctx, "a", one.Manifest, "t")
		want(t, "PutImage of an archived image", err, nil)
	})
}
