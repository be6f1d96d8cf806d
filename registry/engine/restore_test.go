package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/gc"
	"berth/storage/meta"
)

func byDigest(image registrytest.Image) registry.ImageID {
	return registry.ImageID{Digest: image.Digest}
}

// deletedDigests are those that can be restored.
func (s *site) deletedDigests(repo registry.Name) []digest.Digest {
	s.t.Helper()
	var all []digest.Digest
	for last := digest.Digest(""); ; {
		page, err := s.DeletedImages(context.Background(), repo, last, 2)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, x := range page {
			last = x.Digest
			all = append(all, x.Digest)
		}
		if len(page) < 2 {
			return all
		}
	}
}

// TestRestore: an image comes back as it was, just before its bytes would go, and stays.
func TestRestore(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := registry.WithCause(t.Context(), registry.Cause{By: "lifecycle", Why: "rule 3"})
		image := registrytest.Recipe{Seed: 1}.Image()
		want(t, "push", s.push(ctx, "a", image, "x", "y"), nil)
		s.clock.advance(time.Hour)
		_, err := s.Manifest(ctx, "a", image.Reference())
		want(t, "Manifest", err, nil)
		stopped, stop := context.WithCancel(ctx)
		stop()
		s.RecordPulls(stopped)
		_, err = s.SetStorageClass(ctx, "a", byDigest(image), registry.Archive)
		want(t, "archive", err, nil)
		was, err := s.Image(ctx, "a", byDigest(image))
		want(t, "Image", err, nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
		deletedAt := s.clock.now()
		listed, err := s.DeletedImages(ctx, "a", "", 10)
		want(t, "DeletedImages", err, nil)
		rounded := cmpopts.EquateApproxTime(time.Microsecond)
		expected := []registry.DeletedImage{{Image: was, DeletedAt: deletedAt, Cause: registry.Cause{By: "lifecycle", Why: "rule 3"}}}
		if diff := cmp.Diff(expected, listed, rounded); diff != "" {
			t.Errorf("the deleted image (-want +got):\n%s", diff)
		}
		s.clock.advance(gc.DefaultGrace - time.Second)
		s.sweep()
		done, err := s.RestoreImage(ctx, "a", byDigest(image), registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		was.ActivatedAt, was.ArchivedAt = s.clock.now(), s.clock.now() // it counts as new
		tags := []registry.ImageID{{Digest: image.Digest, Tag: "x"}, {Digest: image.Digest, Tag: "y"}}
		if diff := cmp.Diff(registry.Restored{Image: was, New: true, Tags: tags}, done, rounded); diff != "" {
			t.Errorf("restored (-want +got):\n%s", diff)
		}
		if left := s.deletedDigests("a"); len(left) > 0 {
			t.Errorf("%v can still be restored", left)
		}
		_, err = s.SetStorageClass(ctx, "a", byDigest(image), registry.Standard)
		want(t, "activate", err, nil)
		want(t, "clean", s.clean(3), nil)
		want(t, "the image", s.whole("a", image), nil)
		_, err = s.RestoreImage(ctx, "a", byDigest(image), registry.Restoration{})
		want(t, "RestoreImage again", err, registry.ErrImageExists)
	})
}

// TestRestoreTooLate: after the grace there is nothing to restore, and nothing is left over.
func TestRestoreTooLate(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		image, shared := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		want(t, "push", s.push(ctx, "a", image, "x"), nil)
		for _, repo := range []registry.Name{"a", "b"} {
			want(t, "push", s.push(ctx, repo, shared), nil)
		}
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", shared.Digest), nil)
		s.clock.advance(time.Hour)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "b", shared.Digest), nil)
		s.clock.advance(gc.DefaultGrace - time.Minute)
		if run := s.sweep(); run.Images != 2 {
			t.Errorf("after the first grace went %+v", run)
		}
		for _, id := range []registry.ImageID{byDigest(image), {Tag: "x"}, byDigest(shared)} {
			_, err := s.RestoreImage(ctx, "a", id, registry.Restoration{})
			want(t, "RestoreImage", err, registry.ErrManifestUnknown)
		}
		_, err := s.RestoreImage(ctx, "b", byDigest(shared), registry.Restoration{})
		want(t, "RestoreImage of what b has deleted later", err, nil)
		want(t, "the image", s.whole("b", shared), nil)
		_, err = s.RestoreImage(ctx, "none", byDigest(shared), registry.Restoration{})
		want(t, "RestoreImage to a repository that never was", err, registry.ErrManifestUnknown)
		_, err = s.Repository(ctx, "none")
		want(t, "Repository", err, registry.ErrNameUnknown)
		want(t, "clean", s.clean(3), nil)
	})
}

// TestRestoreFamily: an index comes back with what it lists, and images with what refers to them.
func TestRestoreFamily(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		one, two := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		index := registrytest.Recipe{}.Index(one, two)
		refer := func(seed uint64, to registrytest.Image) registrytest.Image {
			subject := to.Descriptor()
			return registrytest.Recipe{Seed: seed, Layers: 1, Subject: &subject}.Image()
		}
		signature, sbom, old := refer(3, index), refer(4, one), refer(5, index)
		signed := refer(6, sbom) // signs the SBOM
		family := []registrytest.Image{one, two, index, signature, sbom, signed}
		for _, image := range append(slices.Clone(family), old) {
			want(t, "push", s.push(ctx, "a", image), nil)
		}
		want(t, "push", s.push(ctx, "a", one, "amd64"), nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", old.Digest), nil)
		s.clock.advance(time.Minute)
		for _, image := range []registrytest.Image{index, signature, one, sbom, signed} {
			want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
		}
		done, err := s.RestoreImage(ctx, "a", byDigest(index), registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		expected := []digest.Digest{one.Digest, signature.Digest, sbom.Digest, signed.Digest}
		slices.Sort(expected)
		slices.Sort(done.With)
		if !slices.Equal(done.With, expected) || len(done.Left) > 0 {
			t.Errorf("with it came %v, left were %v; want %v", done.With, done.Left, expected)
		}
		for _, image := range family {
			want(t, "an image", s.whole("a", image), nil)
		}
		if left := s.deletedDigests("a"); !slices.Equal(left, []digest.Digest{old.Digest}) {
			t.Errorf("%v were not restored", left)
		}
		if d, err := s.StatManifest(ctx, "a", registry.Reference{Tag: "amd64"}); err != nil || d.Digest != one.Digest {
			t.Errorf("the tag of a child is on %s (%v)", d.Digest, err)
		}
		want(t, "clean", s.clean(2*3+3*2), nil)
	})
}

// TestRestoreLinks: what the repository does not see any more and the registry has is seen again.
func TestRestoreLinks(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		image := registrytest.Recipe{Seed: 1}.Image()
		cache := registrytest.Recipe{Seed: 2, Layers: 1}.Cache() // lists blobs
		want(t, "push", s.push(ctx, "a", image, "x"), nil)
		want(t, "push", s.push(ctx, "a", cache), nil)
		for _, i := range []registrytest.Image{image, cache} {
			want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", i.Digest), nil)
		}
		s.clock.advance(gc.DefaultGrace - time.Minute)
		for _, i := range []registrytest.Image{image, cache} {
			want(t, "DeleteBlob", s.DeleteBlob(ctx, "a", i.Blobs[0].Digest), nil)
		}
		want(t, "DeleteRepository", s.DeleteRepository(ctx, "a", true), nil)
		s.sweep()
		done, err := s.RestoreImage(ctx, "a", registry.ImageID{Tag: "x"}, registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		if done.Image.Digest != image.Digest {
			t.Errorf("%s was restored", done.Image.Digest)
		}
		_, err = s.RestoreImage(ctx, "a", byDigest(cache), registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		want(t, "clean", s.clean(len(image.Blobs)+len(cache.Blobs)), nil)
		want(t, "the image", s.whole("a", image), nil)
		want(t, "the cache", s.whole("a", cache), nil)
	})
}

// TestRestoreTemplate: a repository that is made anew is like one that a push makes.
func TestRestoreTemplate(t *testing.T) {
	s := newSite(t, "", engine.Options{}, mem.New())
	ctx := t.Context()
	image := registrytest.Recipe{Seed: 1}.Image()
	for _, repo := range []registry.Name{"plain", "t/a"} {
		_, err := s.CreateRepository(ctx, repo, registry.Settings{})
		want(t, "CreateRepository", err, nil)
		want(t, "push", s.push(ctx, repo, image), nil)
		want(t, "DeleteRepository", s.DeleteRepository(ctx, repo, true), nil)
	}
	_, err := s.AddCreationTemplate(ctx, registry.CreationTemplate{
		Prefix: "t", AppliedFor: []string{registry.CreateOnPush}, Settings: registry.Settings{ScanOnPush: true},
	})
	want(t, "AddCreationTemplate", err, nil)
	for repo, scans := range map[registry.Name]bool{"plain": false, "t/a": true} {
		_, err := s.RestoreImage(ctx, repo, byDigest(image), registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		if r, err := s.Repository(ctx, repo); err != nil || r.ScanOnPush != scans {
			t.Errorf("%s: %+v (%v)", repo, r, err)
		}
	}
}

// TestRestoreIncomplete: an image of which bytes are lost does not come back by half. A referrer
// like that stays behind.
func TestRestoreIncomplete(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		image := registrytest.Recipe{Seed: 1}.Image()
		subject := image.Descriptor()
		signature := registrytest.Recipe{Seed: 2, Subject: &subject}.Image()
		index := registrytest.Recipe{}.Index(signature)
		all := []registrytest.Image{image, signature, index}
		for _, i := range all {
			want(t, "push", s.push(ctx, "a", i), nil)
		}
		want(t, "DeleteRepository", s.DeleteRepository(ctx, "a", true), nil)
		err := s.db.Update(ctx, func(tx *meta.Tx) error {
			b, err := tx.FindBlob(ctx, signature.Blobs[1].Digest)
			if err == nil {
				_, err = tx.LoseBlob(ctx, b)
			}
			return err
		})
		want(t, "LoseBlob", err, nil)
		for _, i := range []registrytest.Image{signature, index} {
			_, err = s.RestoreImage(ctx, "a", byDigest(i), registry.Restoration{})
			want(t, "RestoreImage", err, registry.ErrManifestBlobUnknown)
			var said *registry.Error
			if errors.As(err, &said); fmt.Sprint(said.Detail) != fmt.Sprint(map[string]any{"digests": []digest.Digest{signature.Blobs[1].Digest}}) {
				t.Errorf("what is missing is said to be %v", said.Detail)
			}
		}
		_, err = s.Repository(ctx, "a")
		want(t, "Repository", err, registry.ErrNameUnknown)
		done, err := s.RestoreImage(ctx, "a", byDigest(image), registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		if !slices.Equal(done.Left, []digest.Digest{signature.Digest}) {
			t.Errorf("left were %v", done.Left)
		}
		want(t, "the image", s.whole("a", image), nil)
	})
}

// TestRestorePushedAgain: of an image that has been pushed again the tags come back.
func TestRestorePushedAgain(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		image := registrytest.Recipe{Seed: 1}.Image()
		want(t, "push", s.push(ctx, "a", image, "x", "y"), nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
		want(t, "push", s.push(ctx, "a", image, "y", "z"), nil)
		if listed := s.deletedDigests("a"); len(listed) > 0 {
			t.Errorf("%v are listed as deleted", listed)
		}
		done, err := s.RestoreImage(ctx, "a", byDigest(image), registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		if !slices.Equal(done.Image.Tags, []registry.Tag{"x", "y", "z"}) || done.New {
			t.Errorf("restored: %+v", done)
		}
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
		want(t, "push", s.push(ctx, "a", image), nil)
		want(t, "clean", s.clean(3), nil) // what is known of the deletion goes, and the image stays
		want(t, "the image", s.whole("a", image), nil)
	})
}
