package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/fs"
	"berth/storage/blob/mem"
)

// want fails the test unless err is of a kind, which may be nil.
func want(t testing.TB, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%s: %v, want %v", what, err, kind)
	}
}

// TestFullStorage fills the store in the middle of a chunk. The upload goes on when
// there is room again.
func TestFullStorage(t *testing.T) {
	b := registrytest.NewBlob(1, 1_000_000)
	s := mem.New()
	e := engine.New(openDB(t), s, open)
	u, err := e.StartUpload(t.Context(), "a", b.Digest.Algorithm())
	want(t, "StartUpload", err, nil)

	s.SetCapacity(0)
	got, err := e.AppendUpload(t.Context(), "a", u.ID, b.Part(0, 1000))
	want(t, "AppendUpload without room", err, registry.ErrStorageFull)
	if got.Offset != 0 {
		t.Errorf("the upload stands at %d", got.Offset)
	}
	s.SetCapacity(600_000)
	got, err = e.AppendUpload(t.Context(), "a", u.ID, b.Chunk())
	want(t, "AppendUpload with too little room", err, registry.ErrStorageFull)
	if got.Offset != 600_000 {
		t.Errorf("the upload stands at %d, want all there was room for", got.Offset)
	}
	now, err := e.Upload(t.Context(), "a", u.ID)
	want(t, "Upload", err, nil)
	if now.Offset != got.Offset {
		t.Errorf("AppendUpload says %d, Upload says %d", got.Offset, now.Offset)
	}
	_, err = e.FinishUpload(t.Context(), "a", u.ID, b.Part(600_000, 1_000_000), b.Digest)
	want(t, "FinishUpload without room", err, registry.ErrStorageFull)
	other := registrytest.NewBlob(2, 100_000)
	_, err = e.PutBlob(t.Context(), "a", other.Chunk(), other.Digest)
	want(t, "PutBlob without room", err, registry.ErrStorageFull)

	s.SetCapacity(-1)
	_, err = e.FinishUpload(t.Context(), "a", u.ID, b.Part(600_000, 1_000_000), b.Digest)
	want(t, "FinishUpload with room", err, nil)
	wantOnly(t, e, s, b)
}

// TestReserve keeps small blobs and manifests, which are rows, out of what the store
// keeps free. Deleting goes on.
func TestReserve(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	s, err := fs.Open(t.TempDir(), fs.Options{FreeSpace: func(string) (int64, error) { return free.Load(), nil }})
	want(t, "Open", err, nil)
	e := engine.New(openDB(t), s, small)
	image, other := registrytest.Recipe{Seed: 1}.Image(), registrytest.NewBlob(2, 100)
	push := func() error {
		for _, b := range image.Blobs {
			if _, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest); err != nil {
				return err
			}
		}
		return nil
	}
	want(t, "PutBlob", push(), nil)
	free.Store(fs.DefaultReserve)
	for i := range 1000 { // some megabytes were allowed before
		b := registrytest.NewBlob(uint64(i+10), 16<<10)
		if _, err = e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest); err != nil {
			break
		}
	}
	_, err = e.PutBlob(t.Context(), "a", other.Chunk(), other.Digest)
	want(t, "PutBlob without room", err, registry.ErrStorageFull)
	_, err = e.PutManifest(t.Context(), "a", image.Manifest, []registry.Tag{"latest"})
	want(t, "PutManifest without room", err, registry.ErrStorageFull)
	want(t, "DeleteBlob without room", e.DeleteBlob(t.Context(), "a", image.Blobs[0].Digest), nil)
	free.Store(1 << 40)
	want(t, "PutBlob", push(), nil)
	_, err = e.PutManifest(t.Context(), "a", image.Manifest, []registry.Tag{"latest"})
	want(t, "PutManifest", err, nil)
}

// TestPushHealsLostObject takes the object of a blob away and pushes the blob again,
// from many sides at once.
func TestPushHealsLostObject(t *testing.T) {
	for round := range 20 {
		b := registrytest.NewBlob(uint64(round), 100_000)
		s := mem.New()
		e := engine.New(openDB(t), s, open)
		_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
		for o := range s.All(t.Context()) {
			want(t, "Delete", s.Delete(t.Context(), o.Key), nil)
		}
		_, err = e.OpenBlob(t.Context(), "a", b.Digest, registry.Span{})
		want(t, "OpenBlob of a lost object", err, registry.ErrBlobUnknown)

		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if _, err := e.PutBlob(t.Context(), registry.Name(fmt.Sprint("r", i)), b.Chunk(), b.Digest); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		open, err := e.OpenBlob(t.Context(), "a", b.Digest, registry.Span{})
		want(t, "OpenBlob", err, nil)
		open.Content.Close()
		wantOnly(t, e, s, b)
	}
}

// TestSparse allows manifests whose parts are not there.
func TestSparse(t *testing.T) {
	e := engine.New(openDB(t), mem.New(), engine.Options{
		CreateOnPush: true,
		AllowSparse:  func(n registry.Name) bool { return n == "sparse" },
	})
	child := registrytest.Recipe{Seed: 1}.Image()
	index := registrytest.Recipe{}.Index(child, registrytest.Recipe{Seed: 2}.Image())
	for _, i := range []registrytest.Image{child, index} {
		_, err := e.PutManifest(t.Context(), "whole", i.Manifest, nil)
		want(t, "PutManifest", err, registry.ErrManifestBlobUnknown)
		_, err = e.PutManifest(t.Context(), "sparse", i.Manifest, []registry.Tag{"latest"})
		want(t, "PutManifest", err, nil)
	}
	want(t, "DeleteManifest of a child", e.DeleteManifest(t.Context(), "sparse", child.Digest), registry.ErrManifestReferenced)
	_, err := e.OpenBlob(t.Context(), "sparse", child.Blobs[0].Digest, registry.Span{})
	want(t, "OpenBlob", err, registry.ErrBlobUnknown)
	_, err = e.Inspect(t.Context(), engine.Check{Found: func(p engine.Problem) error { return errors.New(p.Message) }})
	want(t, "Inspect", err, nil)

	// What comes later belongs to the manifests that are there already.
	for _, b := range child.Blobs {
		_, err := e.PutBlob(t.Context(), "sparse", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
		want(t, "DeleteBlob", e.DeleteBlob(t.Context(), "sparse", b.Digest), registry.ErrBlobReferenced)
	}
	late := index.Children[1]
	_, err = e.PutManifest(t.Context(), "sparse", late.Manifest, nil)
	want(t, "PutManifest", err, nil)
	want(t, "DeleteManifest", e.DeleteManifest(t.Context(), "sparse", late.Digest), registry.ErrManifestReferenced)
	want(t, "DeleteManifest of the index", e.DeleteManifest(t.Context(), "sparse", index.Digest), nil)
	want(t, "DeleteManifest", e.DeleteManifest(t.Context(), "sparse", late.Digest), nil)
}

// TestInspect breaks what can break and looks whether it is found.
func TestInspect(t *testing.T) {
	s := mem.New()
	db := openDB(t)
	e := engine.New(db, s, open)
	image := registrytest.Recipe{Seed: 1}.Image()
	for _, b := range image.Blobs {
		_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
	}
	_, err := e.PutManifest(t.Context(), "a", image.Manifest, nil)
	want(t, "PutManifest", err, nil)
	var blobs []registrytest.Blob // with objects of their own
	for i := range 3 {
		b := registrytest.NewBlob(uint64(100+i), 100_000)
		blobs = append(blobs, b)
		_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
	}
	inspect := func(deep bool) map[engine.ProblemKind]int {
		kinds := map[engine.ProblemKind]int{}
		_, err := e.Inspect(t.Context(), engine.Check{Deep: deep, Found: func(p engine.Problem) error {
			kinds[p.Kind]++
			return nil
		}})
		want(t, "Inspect", err, nil)
		return kinds
	}
	if found := inspect(true); len(found) > 0 {
		t.Fatalf("a sound registry has problems: %v", found)
	}

	replace := func(i int, with []byte) { replaceObject(t, s, keyOf(t, s, blobs[i]), with) }
	replace(0, nil)
	replace(1, []byte("short"))
	other := registrytest.NewBlob(9, len(blobs[2].Bytes))
	replace(2, other.Bytes)
	if found := inspect(false); found[engine.Lost] != 1 || found[engine.Damaged] != 1 {
		t.Errorf("found %v, want one lost and one damaged", found)
	}
	if found := inspect(true); found[engine.Lost] != 1 || found[engine.Damaged] != 2 {
		t.Errorf("looking deep: found %v, want one lost and two damaged", found)
	}

	// A push heals what a look at the size can tell. Nobody looks deeper at each push.
	for _, b := range blobs {
		_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
	}
	if found := inspect(true); found[engine.Lost] != 0 || found[engine.Damaged] != 1 {
		t.Errorf("after pushing again: found %v, want one damaged", found)
	}
}

// keyOf finds the object that has the bytes of b.
func keyOf(t *testing.T, s blob.Store, b registrytest.Blob) blob.Key {
	t.Helper()
	for o := range s.All(t.Context()) {
		content, err := s.Open(t.Context(), o.Key, blob.Span{})
		want(t, "Open", err, nil)
		d, err := b.Digest.Algorithm().FromReader(content)
		want(t, "reading", err, nil)
		if d == b.Digest {
			return o.Key
		}
	}
	t.Fatalf("no object has the bytes of %s", b.Digest)
	return ""
}
