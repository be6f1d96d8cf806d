package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
)

// push pushes an image with all that it needs.
func push(t *testing.T, r registry.Registry, repo registry.Name, i registrytest.Image, tags ...registry.Tag) {
	t.Helper()
	for _, b := range i.Blobs {
		_, err := r.PutBlob(t.Context(), repo, b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
	}
	for _, child := range i.Children {
		push(t, r, repo, child)
	}
	_, err := r.PutManifest(t.Context(), repo, i.Manifest, tags)
	want(t, "PutManifest", err, nil)
}

func TestCreateRepository(t *testing.T) {
	e := engine.New(openDB(t), mem.New(), engine.Options{})
	b := registrytest.NewBlob(1, 1)
	_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
	want(t, "PutBlob without a repository", err, registry.ErrNameUnknown)
	for _, expected := range []error{nil, registry.ErrNameTaken} {
		_, err := e.CreateRepository(t.Context(), "a", registry.Settings{})
		want(t, "CreateRepository", err, expected)
	}
	_, err = e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)
}

func TestDeleteRepository(t *testing.T) {
	e := engine.New(openDB(t), mem.New(), open)
	want(t, "DeleteRepository", e.DeleteRepository(t.Context(), "a", true), registry.ErrNameUnknown)

	// More of everything than is deleted in one step, and indexes in indexes.
	var images []registrytest.Image
	for i := range 120 {
		images = append(images, registrytest.Recipe{Seed: uint64(i + 1), Layers: 2}.Image())
	}
	outer := registrytest.Recipe{}.Index(images...)
	for range 3 {
		outer = registrytest.Recipe{}.Index(outer)
	}
	push(t, e, "a", outer, "latest")
	push(t, e, "b", images[0], "latest")
	want(t, "DeleteRepository of one with images", e.DeleteRepository(t.Context(), "a", false), registry.ErrNotEmpty)
	want(t, "DeleteRepository by force", e.DeleteRepository(t.Context(), "a", true), nil)
	_, err := e.Repository(t.Context(), "a")
	want(t, "Repository", err, registry.ErrNameUnknown)
	_, err = e.StatBlob(t.Context(), "a", images[0].Blobs[0].Digest)
	want(t, "StatBlob", err, registry.ErrNameUnknown)
	_, err = e.Inspect(t.Context(), engine.Check{Deep: true, Found: func(p engine.Problem) error { return errors.New(p.Message) }})
	want(t, "Inspect", err, nil)
	_, err = e.Manifest(t.Context(), "b", registry.Reference{Tag: "latest"})
	want(t, "Manifest of another repository", err, nil)

	_, err = e.PutBlob(t.Context(), "empty", registrytest.NewBlob(1, 1).Chunk(), registrytest.NewBlob(1, 1).Digest)
	want(t, "PutBlob", err, nil)
	want(t, "DeleteRepository of one with a blob and no image", e.DeleteRepository(t.Context(), "empty", false), nil)
}

func TestExpireUploads(t *testing.T) {
	s := mem.New()
	e := engine.New(openDB(t), s, open)
	b := registrytest.NewBlob(1, 1000)
	const many = 130 // more than go in one step
	for i := range many {
		u, err := e.StartUpload(t.Context(), registry.Name(fmt.Sprint("r", i)), b.Digest.Algorithm())
		want(t, "StartUpload", err, nil)
		if i%2 == 0 {
			_, err = e.AppendUpload(t.Context(), u.Repo, u.ID, b.Part(0, 500))
			want(t, "AppendUpload", err, nil)
		}
	}
	expire := func(before time.Time, dryRun bool) (count int, bytes int64) {
		t.Helper()
		err := e.ExpireUploads(t.Context(), before, dryRun, func(x engine.Expired) {
			count++
			bytes += x.Bytes
		})
		want(t, "ExpireUploads", err, nil)
		return count, bytes
	}
	for _, pass := range []struct {
		before time.Time
		dryRun bool
		want   int
	}{
		{time.Now().Add(-time.Minute), false, 0},
		{time.Now().Add(time.Minute), true, many},
		{time.Now().Add(time.Minute), false, many},
		{time.Now().Add(time.Minute), false, 0},
	} {
		if count, bytes := expire(pass.before, pass.dryRun); count != pass.want || bytes != int64(pass.want)/2*500 {
			t.Errorf("expired %d uploads with %d bytes, want %d; dry run: %v", count, bytes, pass.want, pass.dryRun)
		}
	}
	for o := range s.All(t.Context()) {
		t.Errorf("an object stays behind: %+v", o)
	}
}
