package engine_test

import (
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta/pgtest"
)

// TestRestoreSparse: an image that lacked a layer comes back with the others, and without that
// one even if another repository has it by now.
func TestRestoreSparse(t *testing.T) {
	opts := engine.Options{CreateOnPush: true, MaxSmallBlob: -1, AllowSparse: func(registry.Name) bool { return true }}
	for name, url := range map[string]string{"SQLite": "", "PostgreSQL": pgtest.Database(t)} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s := newSite(t, url, opts, mem.New())
			image := registrytest.Recipe{Seed: 1, Layers: 2}.Image()
			index := registrytest.Recipe{Seed: 1}.Index(image, registrytest.Recipe{Seed: 2}.Image())
			lacking := image.Blobs[len(image.Blobs)-1]
			for _, b := range image.Blobs {
				if b.Digest != lacking.Digest {
					_, err := s.PutBlob(ctx, "a", b.Chunk(), b.Digest)
					want(t, "PutBlob", err, nil)
				}
			}
			for _, m := range []registry.Manifest{image.Manifest, index.Manifest} {
				_, err := s.PutManifest(ctx, "a", m, []registry.Tag{"v1"})
				want(t, "PutManifest", err, nil)
			}
			want(t, "DeleteRepository", s.DeleteRepository(ctx, "a", true), nil)
			_, err := s.PutBlob(ctx, "b", lacking.Chunk(), lacking.Digest)
			want(t, "PutBlob", err, nil)

			_, err = s.RestoreImage(ctx, "a", registry.ImageID{Digest: index.Digest}, registry.Restoration{})
			want(t, "RestoreImage", err, nil)
			for _, b := range image.Blobs {
				there := error(nil)
				if b.Digest == lacking.Digest {
					there = registry.ErrBlobUnknown
				}
				_, err := s.StatBlob(ctx, "a", b.Digest)
				want(t, "StatBlob", err, there)
			}
			_, err = s.Manifest(ctx, "a", image.Reference())
			want(t, "Manifest", err, nil)
		})
	}
}
