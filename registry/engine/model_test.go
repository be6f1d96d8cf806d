package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
	"berth/storage/gc"
	"berth/storage/meta"
)

// TestModel does the same things, at random, to the engine and to the simple registry
// of registrytest, and expects the same answers. Now and then the engine starts anew
// with what is on the disk.
func TestModel(t *testing.T) {
	oneAtATime(t)
	databases := 0
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		databases++
		m := newMachine(t, fmt.Sprintf("%s/%d.db", dir, databases))
		defer func() { m.db.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"PutBlob":        m.putBlob,
			"MountBlob":      m.mountBlob,
			"StartUpload":    m.startUpload,
			"AppendUpload":   m.appendUpload,
			"AppendUpload2":  m.appendUpload, // twice as often
			"FinishUpload":   m.finishUpload,
			"CancelUpload":   m.cancelUpload,
			"PutManifest":    m.putManifest,
			"PutImage":       m.putImage,
			"DeleteTag":      m.deleteTag,
			"DeleteManifest": m.deleteManifest,
			"DeleteBlob":     m.deleteBlob,
			"RestoreImage":   m.restoreImage,
			"RestoreImage2":  m.restoreImage,
			"Restart":        m.restart,
			"CollectGarbage": m.collectGarbage,
		})
		m.compareAll(t)
	})
}

// The world of the model: small, so that things meet.
var (
	modelRepos = []registry.Name{"a", "a/b", "b"}
	modelTags  = []registry.Tag{"latest", "1", "V"}
	modelBlobs = func() []registrytest.Blob {
		var all []registrytest.Blob
		for _, i := range modelImages {
			all = append(all, i.Blobs...)
		}
		// The bytes of a manifest may be a blob as well.
		b := modelImages[0].Bytes
		asBlob := registrytest.Blob{Descriptor: modelImages[0].Descriptor(), Bytes: b}
		return append(all, asBlob, registrytest.NewBlob(0, 0), registrytest.NewBlob(9, 100_000), all[0].In(digest.SHA512))
	}()
	modelImages = func() []registrytest.Image {
		one := registrytest.Recipe{Seed: 1, Layers: 1}.Image()
		subject := one.Descriptor()
		two := registrytest.Recipe{Seed: 1, Layers: 2, Docker: true}.Image() // shares its layer with one
		index := registrytest.Recipe{}.Index(one, two)
		return []registrytest.Image{
			one, two, index,
			registrytest.Recipe{Seed: 2}.Index(index),
			registrytest.Recipe{Seed: 1, Layers: 1}.Cache(),
			registrytest.Recipe{Seed: 3, Layers: -1, ArtifactType: "application/vnd.example.x", Subject: &subject}.Image(),
			registrytest.Recipe{Seed: 4, Subject: &subject, Annotations: map[string]string{"a": "b"}}.Index(),
			registrytest.Recipe{Seed: 5, Layers: -1, Algorithm: digest.SHA512}.Image(),
		}
	}()
)

type machine struct {
	path    string
	db      *meta.DB
	blobs   *mem.Store
	engine  *engine.Engine
	model   *registrytest.Memory
	uploads []modelUpload
}

// modelUpload is an upload that both registries have, under different ids.
type modelUpload struct {
	repo          registry.Name
	engine, model registry.UploadID
	blob          registrytest.Blob // that the client means to push
	offset        int64
}

func newMachine(t *rapid.T, path string) *machine {
	m := &machine{path: path, blobs: mem.New(), model: registrytest.NewMemory()}
	m.open(t)
	return m
}

func (m *machine) open(t *rapid.T) {
	var err error
	m.db, err = meta.Open(context.Background(), "sqlite:"+m.path, meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.engine = engine.New(m.db, m.blobs, small)
}

func (m *machine) restart(t *rapid.T) {
	if err := m.db.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
}

// collectGarbage removes what nothing mentions, without any grace.
func (m *machine) collectGarbage(t *rapid.T) {
	if _, err := gc.NewSweeper(m.db, gc.Options{Grace: -time.Hour}).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.engine.DoDueJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	blobs, err := m.db.Blobs(t.Context(), "", 1000)
	if want := m.model.CollectGarbage(); err != nil || len(blobs) != want {
		t.Fatalf("%d blobs are left (%v), want %d", len(blobs), err, want)
	}
}

// both compares what the registries answer to one call.
func both[T any](t *rapid.T, m *machine, what string, call func(registry.Registry) (T, error)) T {
	got, gotErr := call(m.engine)
	want, wantErr := call(m.model)
	if kind(t, gotErr) != kind(t, wantErr) {
		t.Fatalf("%s: %v, want %v", what, gotErr, wantErr)
	}
	if gotErr == nil && !cmp.Equal(got, want) {
		t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
	}
	return got
}

func bothErr(t *rapid.T, m *machine, what string, call func(registry.Registry) error) {
	both(t, m, what, func(r registry.Registry) (any, error) { return nil, call(r) })
}

// kind is the Err value that err belongs to.
func kind(t *rapid.T, err error) error {
	if err == nil {
		return nil
	}
	for _, k := range []error{
		registry.ErrNameUnknown, registry.ErrBlobUnknown, registry.ErrBlobReferenced, registry.ErrManifestUnknown,
		registry.ErrManifestReferenced, registry.ErrManifestBlobUnknown, registry.ErrManifestInvalid, registry.ErrDigestInvalid,
		registry.ErrImageExists, registry.ErrSizeInvalid, registry.ErrRangeInvalid, registry.ErrUploadUnknown,
	} {
		if errors.Is(err, k) {
			return k
		}
	}
	t.Fatalf("no error of the list: %v", err)
	return nil
}

func pick[T any](t *rapid.T, label string, all []T) T {
	return all[rapid.IntRange(0, len(all)-1).Draw(t, label)]
}

func (m *machine) putBlob(t *rapid.T) {
	repo, b, d := pick(t, "repo", modelRepos), pick(t, "blob", modelBlobs), pick(t, "digest", modelBlobs)
	if rapid.IntRange(0, 3).Draw(t, "honest") > 0 {
		d = b
	}
	both(t, m, "PutBlob", func(r registry.Registry) (registry.Descriptor, error) {
		return r.PutBlob(t.Context(), repo, b.Chunk(), d.Digest)
	})
}

func (m *machine) mountBlob(t *rapid.T) {
	repo, b := pick(t, "repo", modelRepos), pick(t, "blob", modelBlobs)
	from := pick(t, "from", append(modelRepos, ""))
	both(t, m, "MountBlob", func(r registry.Registry) (registry.Descriptor, error) {
		return r.MountBlob(t.Context(), repo, from, b.Digest)
	})
}

func (m *machine) putManifest(t *rapid.T) {
	m.putTagged(t, pick(t, "repo", modelRepos), pick(t, "image", modelImages))
}

// putImage pushes an image with its blobs, so that manifests are not mostly refused.
func (m *machine) putImage(t *rapid.T) {
	repo, image := pick(t, "repo", modelRepos), pick(t, "image", modelImages)
	for _, b := range image.Blobs {
		both(t, m, "PutBlob", func(r registry.Registry) (registry.Descriptor, error) {
			return r.PutBlob(t.Context(), repo, b.Chunk(), b.Digest)
		})
	}
	m.putTagged(t, repo, image)
}

func (m *machine) putTagged(t *rapid.T, repo registry.Name, image registrytest.Image) {
	tags := rapid.SliceOfN(rapid.SampledFrom(modelTags), 0, 3).Draw(t, "tags")
	both(t, m, "PutManifest", func(r registry.Registry) (registry.Content, error) {
		return r.PutManifest(t.Context(), repo, image.Manifest, tags)
	})
}

func (m *machine) deleteTag(t *rapid.T) {
	repo, tag := pick(t, "repo", modelRepos), pick(t, "tag", modelTags)
	bothErr(t, m, "DeleteTag", func(r registry.Registry) error { return r.DeleteTag(t.Context(), repo, tag) })
}

func (m *machine) deleteManifest(t *rapid.T) {
	repo, image := pick(t, "repo", modelRepos), pick(t, "image", modelImages)
	bothErr(t, m, "DeleteManifest", func(r registry.Registry) error { return r.DeleteManifest(t.Context(), repo, image.Digest) })
}

func (m *machine) deleteBlob(t *rapid.T) {
	repo, b := pick(t, "repo", modelRepos), pick(t, "blob", modelBlobs)
	bothErr(t, m, "DeleteBlob", func(r registry.Registry) error { return r.DeleteBlob(t.Context(), repo, b.Digest) })
}

// compareAll compares everything that can be read, in small pages.
func (m *machine) compareAll(t *rapid.T) {
	compareList(t, m, "Repositories", func(r registry.Registry, last registry.Name) ([]registry.Name, error) {
		return r.Repositories(t.Context(), last, 2)
	})
	for _, b := range modelBlobs {
		compareList(t, m, "BlobRepositories", func(r registry.Registry, last registry.Name) ([]registry.Name, error) {
			return r.BlobRepositories(t.Context(), b.Digest, last, 2)
		})
	}
	for _, repo := range modelRepos {
		m.compareRepository(t, repo)
	}
	m.wantSound(t)
}

func (m *machine) compareRepository(t *rapid.T, repo registry.Name) {
	listed, err := m.engine.DeletedImages(t.Context(), repo, "", 100)
	var deleted []digest.Digest
	for _, x := range listed {
		deleted = append(deleted, x.Digest)
	}
	if want := m.model.Deleted(repo); err != nil || !slices.Equal(deleted, want) {
		t.Fatalf("DeletedImages: %v (%v), want %v", deleted, err, want)
	}
	compareList(t, m, "Tags", func(r registry.Registry, last registry.Tag) ([]registry.Tag, error) {
		return r.Tags(t.Context(), repo, last, 2)
	})
	var refs []registry.Reference
	for _, tag := range modelTags {
		refs = append(refs, registry.Reference{Tag: tag})
	}
	for _, image := range modelImages {
		refs = append(refs, image.Reference())
		compareList(t, m, "Referrers", func(r registry.Registry, last digest.Digest) ([]digest.Digest, error) {
			list, _, err := r.Referrers(t.Context(), repo, registry.ReferrersQuery{Subject: image.Digest, Last: last, Limit: 1})
			return digests(list), err
		})
	}
	for _, ref := range refs {
		both(t, m, fmt.Sprint("Manifest ", ref), func(r registry.Registry) (registry.Manifest, error) { return r.Manifest(t.Context(), repo, ref) })
		both(t, m, fmt.Sprint("StatManifest ", ref), func(r registry.Registry) (registry.Descriptor, error) { return r.StatManifest(t.Context(), repo, ref) })
	}
	for _, b := range modelBlobs {
		both(t, m, "StatBlob", func(r registry.Registry) (registry.Descriptor, error) { return r.StatBlob(t.Context(), repo, b.Digest) })
		both(t, m, "OpenBlob", func(r registry.Registry) ([]byte, error) {
			open, err := r.OpenBlob(t.Context(), repo, b.Digest, registry.Span{})
			if err != nil {
				return nil, err
			}
			defer open.Content.Close()
			return io.ReadAll(open.Content)
		})
	}
}

func digests(list []registry.Referrer) []digest.Digest {
	var all []digest.Digest
	for _, d := range list {
		all = append(all, d.Digest)
	}
	return all
}

// compareList compares a list page by page. An empty page may be nil or not.
func compareList[T ~string](t *rapid.T, m *machine, what string, list func(r registry.Registry, last T) ([]T, error)) {
	for last := T(""); ; {
		page := both(t, m, what, func(r registry.Registry) ([]T, error) {
			page, err := list(r, last)
			return append([]T{}, page...), err
		})
		if len(page) == 0 {
			return
		}
		last = page[len(page)-1]
	}
}

// wantSound asks the engine's own inspection: no losses, and an object for each blob
// and for each upload with bytes, but none besides.
func (m *machine) wantSound(t *rapid.T) {
	_, err := m.engine.Inspect(t.Context(), engine.Check{Deep: true, Found: func(p engine.Problem) error {
		return fmt.Errorf("%s: %s", p.Kind, p.Message)
	}})
	if err != nil {
		t.Fatalf("Inspect: %v", err)
	}
	named := map[blob.Key]bool{}
	if err := m.db.ObjectKeys(t.Context(), func(key blob.Key) { named[key] = true }); err != nil {
		t.Fatal(err)
	}
	for object, err := range m.blobs.All(t.Context()) {
		if err != nil || !named[object.Key] {
			t.Fatalf("nothing names object %s of %d bytes, committed: %v (%v)", object.Key, object.Size, object.Committed, err)
		}
	}
}
