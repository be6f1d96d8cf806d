package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
)

// TestImmutableTags moves tags on both ways of pushing.
func TestImmutableTags(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		one, two := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		for _, test := range []struct {
			mode  registry.TagMode
			tag   registry.Tag
			fixed bool
		}{
			{registry.Mutable, "v1", false},
			{registry.Immutable, "v1", true},
			{registry.Immutable, "latest", true},
			{registry.ImmutableWithExclusion, "v1", true},
			{registry.ImmutableWithExclusion, "latest-x", false},
			{registry.ImmutableWithExclusion, "Latest", true},
			{registry.MutableWithExclusion, "v1", false},
			{registry.MutableWithExclusion, "latest", true},
		} {
			repo := registry.Name("r")
			_ = e.DeleteRepository(ctx, repo, true)
			_, err := e.CreateRepository(ctx, repo, registry.Settings{
				Mutability: registry.Mutability{Mode: test.mode, Exclusions: []string{"latest*"}},
			})
			want(t, "CreateRepository", err, nil)
			push(t, e, repo, one, test.tag)
			push(t, e, repo, two)
			var expected, again error = nil, registry.ErrImageExists
			if test.fixed {
				expected, again = registry.ErrTagFixed, registry.ErrTagFixed
			}
			_, err = e.PutImage(ctx, repo, one.Manifest, test.tag)
			want(t, "PutImage of what is there", err, again)
			_, err = e.PutManifest(ctx, repo, one.Manifest, []registry.Tag{test.tag})
			want(t, "PutManifest of what is there", err, nil)
			_, err = e.PutManifest(ctx, repo, two.Manifest, []registry.Tag{"new", test.tag})
			want(t, fmt.Sprintf("moving %s, %s", test.tag, test.mode), err, expected)
			_, err = e.PutImage(ctx, repo, one.Manifest, test.tag)
			if !test.fixed {
				want(t, "moving it back", err, nil)
			}
			if _, err := e.StatManifest(ctx, repo, registry.Reference{Tag: "new"}); (err != nil) != test.fixed {
				t.Errorf("%s, %s: of two tags one was set: %v", test.tag, test.mode, err)
			}
		}
	})
}

// TestImmutableTagRace has many push the same tag, each an image of its own.
func TestImmutableTagRace(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		_, err := e.CreateRepository(t.Context(), "r", registry.Settings{Mutability: registry.Mutability{Mode: registry.Immutable}})
		want(t, "CreateRepository", err, nil)
		const pushers = 8
		var images []registrytest.Image
		for i := range pushers {
			images = append(images, registrytest.Recipe{Seed: uint64(i + 1)}.Image())
			push(t, e, "r", images[i])
		}
		var wg sync.WaitGroup
		var won atomic.Int64
		for _, image := range images {
			wg.Go(func() {
				switch _, err := e.PutManifest(t.Context(), "r", image.Manifest, []registry.Tag{"v1"}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, registry.ErrTagFixed):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of %d have set the tag", won.Load(), pushers)
		}
	})
}

func TestPutImage(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		one := registrytest.Recipe{Seed: 1}.Image()
		_, err := e.PutImage(ctx, "r", one.Manifest, "")
		want(t, "PutImage to no repository", err, registry.ErrNameUnknown)
		for _, b := range one.Blobs {
			_, err := e.PutBlob(ctx, "r", b.Chunk(), b.Digest)
			want(t, "PutBlob", err, nil)
		}
		for _, step := range []struct {
			tag  registry.Tag
			want error
		}{{"", nil}, {"", registry.ErrImageExists}, {"a", nil}, {"a", registry.ErrImageExists}, {"b", nil}, {"", registry.ErrImageExists}} {
			_, err := e.PutImage(ctx, "r", one.Manifest, step.tag)
			want(t, "PutImage with the tag "+string(step.tag), err, step.want)
		}
	})
}

func TestImages(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		images := map[digest.Digest][]registry.Tag{}
		for i := range 25 {
			image := registrytest.Recipe{Seed: uint64(i + 1), Layers: 2}.Image()
			var tags []registry.Tag
			for n := range i % 3 {
				tags = append(tags, registry.Tag(fmt.Sprintf("v%d-%d", i, n)))
			}
			push(t, e, "r", image, tags...)
			images[image.Digest] = tags
		}
		for status, expected := range map[registry.TagStatus]int{"": 25, registry.Tagged: 16, registry.Untagged: 9} {
			n := 0
			for q := (registry.ImagesQuery{Status: status, Limit: 4}); ; {
				page, more, err := e.Images(ctx, "r", q)
				want(t, "Images", err, nil)
				for _, image := range page {
					n++
					if diff := cmp.Diff(images[image.Digest], image.Tags, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("tags (-want +got):\n%s", diff)
					}
					if (status == registry.Untagged) == (len(image.Tags) > 0) && status != "" {
						t.Errorf("%s lists %v", status, image.Tags)
					}
					if image.Size == 0 || image.PushedAt.IsZero() || image.MediaType == "" {
						t.Errorf("image %+v", image)
					}
					q.Last.Digest = image.Digest
				}
				if !more {
					break
				}
			}
			if n != expected {
				t.Errorf("%d images, want %d (%s)", n, expected, status)
			}
			ids := map[registry.ImageID]bool{}
			for q := (registry.ImagesQuery{Status: status, Limit: 3}); ; {
				page, more, err := e.ImageIDs(ctx, "r", q)
				want(t, "ImageIDs", err, nil)
				for _, id := range page {
					if ids[id] {
						t.Errorf("%v is listed twice", id)
					}
					ids[id], q.Last = true, id
				}
				if !more {
					break
				}
			}
			if pairs := map[registry.TagStatus]int{"": 33, registry.Tagged: 24, registry.Untagged: 9}[status]; len(ids) != pairs {
				t.Errorf("%d ids, want %d (%s)", len(ids), pairs, status)
			}
		}
	})
}

func TestImage(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		small, large := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2, Layers: 3}.Image()
		index := registrytest.Recipe{Seed: 3}.Index(small, large)
		push(t, e, "r", index, "latest", "v1")
		sizeOf := func(image registrytest.Image) (sum int64) {
			for _, b := range image.Blobs {
				sum += int64(len(b.Bytes))
			}
			return sum
		}
		for _, test := range []struct {
			id   registry.ImageID
			want error
			size int64
			tags int
		}{
			{registry.ImageID{Tag: "v1"}, nil, sizeOf(large), 2},
			{registry.ImageID{Digest: index.Digest}, nil, sizeOf(large), 2},
			{registry.ImageID{Digest: index.Digest, Tag: "latest"}, nil, sizeOf(large), 2},
			{registry.ImageID{Digest: small.Digest}, nil, sizeOf(small), 0},
			{registry.ImageID{Digest: small.Digest, Tag: "latest"}, registry.ErrManifestUnknown, 0, 0},
			{registry.ImageID{Tag: "v2"}, registry.ErrManifestUnknown, 0, 0},
		} {
			image, err := e.Image(ctx, "r", test.id)
			want(t, fmt.Sprint(test.id), err, test.want)
			if err == nil && (image.Size != test.size || len(image.Tags) != test.tags) {
				t.Errorf("%v: %d bytes and the tags %v, want %d bytes", test.id, image.Size, image.Tags, test.size)
			}
		}
	})
}

func TestDeleteImage(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		one, two := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		index := registrytest.Recipe{Seed: 3}.Index(two)
		push(t, e, "r", one, "a", "b", "c")
		push(t, e, "r", index, "i")
		_, err := e.PutManifest(ctx, "r", two.Manifest, []registry.Tag{"t"})
		want(t, "PutManifest", err, nil)
		id := func(d digest.Digest, t registry.Tag) registry.ImageID { return registry.ImageID{Digest: d, Tag: t} }
		for _, step := range []struct {
			id   registry.ImageID
			gone []registry.ImageID
			want error
		}{
			{id("", "a"), []registry.ImageID{id(one.Digest, "a")}, nil},
			{id("", "a"), nil, registry.ErrManifestUnknown},
			{id(two.Digest, "b"), nil, registry.ErrTagMismatch},
			{id("", "t"), nil, registry.ErrManifestReferenced},
			{id(two.Digest, ""), nil, registry.ErrManifestReferenced},
			{id(one.Digest, ""), []registry.ImageID{id(one.Digest, "b"), id(one.Digest, "c")}, nil},
			{id(index.Digest, "i"), []registry.ImageID{id(index.Digest, "i")}, nil},
			{id("", "t"), []registry.ImageID{id(two.Digest, "t")}, nil},
			{id(two.Digest, ""), nil, registry.ErrManifestUnknown},
		} {
			gone, err := e.DeleteImage(ctx, "r", step.id)
			want(t, fmt.Sprint("DeleteImage ", step.id), err, step.want)
			if diff := cmp.Diff(step.gone, gone); diff != "" {
				t.Errorf("%v (-want +got):\n%s", step.id, diff)
			}
		}
		push(t, e, "r", one)
		gone, err := e.DeleteImage(ctx, "r", id(one.Digest, ""))
		want(t, "DeleteImage without a tag", err, nil)
		if len(gone) != 1 || gone[0] != id(one.Digest, "") {
			t.Errorf("gone %v", gone)
		}
	})
}

// TestPullTimes: a pull by who is excluded does not count, whatever else is asked.
func TestPullTimes(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		one := registrytest.Recipe{Seed: 1}.Image()
		push(t, e, "r", one, "v1")
		_, err := e.ExcludePullTime(ctx, "arn:scanner", 10)
		want(t, "ExcludePullTime", err, nil)
		pulled := func() time.Time {
			t.Helper()
			stopped, stop := context.WithCancel(ctx)
			stop()
			e.RecordPulls(stopped)
			image, err := e.Image(ctx, "r", registry.ImageID{Tag: "v1"})
			want(t, "Image", err, nil)
			return image.LastPulledAt
		}
		_, err = e.StatManifest(ctx, "r", registry.Reference{Tag: "v1"})
		want(t, "StatManifest", err, nil)
		_, err = e.Manifest(registry.WithPuller(ctx, "arn:scanner"), "r", registry.Reference{Tag: "v1"})
		want(t, "Manifest", err, nil)
		if at := pulled(); !at.IsZero() {
			t.Errorf("pulled at %v", at)
		}
		_, err = e.Manifest(registry.WithPuller(ctx, "arn:user"), "r", registry.Reference{Digest: one.Digest})
		want(t, "Manifest", err, nil)
		if at := pulled(); time.Since(at) > time.Minute {
			t.Errorf("pulled at %v", at)
		}
	})
}
