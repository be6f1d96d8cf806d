package engine_test

import (
	"context"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// replaceObject puts other bytes under a key, or none.
func replaceObject(t *testing.T, s blob.Store, key blob.Key, with []byte) {
	t.Helper()
	want(t, "Delete", s.Delete(t.Context(), key), nil)
	if with == nil {
		return
	}
	w, err := s.Create(t.Context(), key)
	want(t, "Create", err, nil)
	_, err = w.Write(with)
	want(t, "Write", err, nil)
	want(t, "Commit", w.Commit(t.Context()), nil)
}

// wantUnknown checks that whoever asks before pushing is told to push.
func wantUnknown(t *testing.T, e *engine.Engine, image registrytest.Image) {
	t.Helper()
	b := image.Blobs[1]
	_, err := e.StatBlob(t.Context(), "a", b.Digest)
	want(t, "StatBlob", err, registry.ErrBlobUnknown)
	_, err = e.OpenBlob(t.Context(), "a", b.Digest, registry.Span{})
	want(t, "OpenBlob", err, registry.ErrBlobUnknown)
	for _, from := range []registry.Name{"a", ""} {
		_, err = e.MountBlob(t.Context(), "b", from, b.Digest)
		want(t, "MountBlob", err, registry.ErrBlobUnknown)
	}
	_, err = e.PutBlob(t.Context(), "b", image.Blobs[0].Chunk(), image.Blobs[0].Digest)
	want(t, "PutBlob", err, nil)
	other := registrytest.Recipe{Seed: 99}.Image().Manifest
	other.Bytes = append([]byte(" "), image.Manifest.Bytes...) // another manifest of the same blobs
	other.Digest, other.MediaType = image.Digest.Algorithm().FromBytes(other.Bytes), image.Manifest.MediaType
	_, err = e.PutManifest(t.Context(), "a", other, nil)
	want(t, "PutManifest", err, registry.ErrManifestBlobUnknown)
}

// wantHealed pushes the blob again and reads it.
func wantHealed(t *testing.T, e *engine.Engine, b registrytest.Blob) {
	t.Helper()
	_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)
	_, err = e.StatBlob(t.Context(), "a", b.Digest)
	want(t, "StatBlob", err, nil)
	if found := inspect(t, e, engine.Check{Deep: true}); len(found) > 0 {
		t.Errorf("after the push: %+v", found)
	}
}

func inspect(t *testing.T, e *engine.Engine, c engine.Check) (found []engine.Problem) {
	t.Helper()
	c.Found = func(p engine.Problem) error {
		if p.Kind == engine.Lost || p.Kind == engine.Damaged || p.Kind == engine.Regained {
			found = append(found, p)
		}
		return nil
	}
	_, err := e.Inspect(t.Context(), c)
	want(t, "Inspect", err, nil)
	return found
}

// lossyRegistry has an image, and names the object of one of its layers.
func lossyRegistry(t *testing.T) (*engine.Engine, blob.Store, registrytest.Image, blob.Key) {
	t.Helper()
	s := mem.New()
	e, image, key := lossyRegistryOn(t, openDB(t), s)
	return e, s, image, key
}

func lossyRegistryOn(t *testing.T, db *meta.DB, s blob.Store) (*engine.Engine, registrytest.Image, blob.Key) {
	t.Helper()
	e := engine.New(db, s, open)
	image := registrytest.Recipe{Seed: 1}.Image()
	for _, b := range image.Blobs {
		_, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
	}
	_, err := e.PutManifest(t.Context(), "a", image.Manifest, []registry.Tag{"latest"})
	want(t, "PutManifest", err, nil)
	return e, image, keyOf(t, s, image.Blobs[1])
}

// TestLostObjectIsUnknown pulls a blob whose object is missing. Clients that ask first
// what they have to push hear of it.
func TestLostObjectIsUnknown(t *testing.T) {
	e, s, image, key := lossyRegistry(t)
	replaceObject(t, s, key, nil)
	_, err := e.OpenBlob(t.Context(), "a", image.Blobs[1].Digest, registry.Span{})
	want(t, "OpenBlob", err, registry.ErrBlobUnknown)
	wantUnknown(t, e, image)
	wantHealed(t, e, image.Blobs[1])
}

// TestLostImageIsUnknown: clients that ask for an image before they push it push it again if a blob
// of it is lost, and those who only pull see no difference.
func TestLostImageIsUnknown(t *testing.T) {
	for name, db := range map[string]*meta.DB{"SQLite": openDB(t), "PostgreSQL": openPostgres(t)} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s := mem.New()
			e, image, key := lossyRegistryOn(t, db, s)
			index := registrytest.Recipe{Seed: 1}.Index(image)
			other := registrytest.Recipe{Seed: 2, Layers: -1}.Image()
			for _, b := range other.Blobs {
				_, err := e.PutBlob(ctx, "a", b.Chunk(), b.Digest)
				want(t, "PutBlob", err, nil)
			}
			for _, m := range []registry.Manifest{index.Manifest, other.Manifest} {
				_, err := e.PutManifest(ctx, "a", m, nil)
				want(t, "PutManifest", err, nil)
			}
			stat := func(what string, m registrytest.Image, pusher, puller error) {
				t.Helper()
				_, err := e.StatManifest(registry.WithPusher(ctx), "a", m.Reference())
				want(t, "StatManifest for a pusher, "+what, err, pusher)
				_, err = e.StatManifest(ctx, "a", m.Reference())
				want(t, "StatManifest for a puller, "+what, err, puller)
			}
			stat("all is well", image, nil, nil)
			replaceObject(t, s, key, nil)
			_, err := e.OpenBlob(ctx, "a", image.Blobs[1].Digest, registry.Span{})
			want(t, "OpenBlob", err, registry.ErrBlobUnknown)
			stat("an image that lacks a blob", image, registry.ErrManifestUnknown, nil)
			stat("an index of it", index, registry.ErrManifestUnknown, nil)
			stat("another image", other, nil, nil)
			wantHealed(t, e, image.Blobs[1])
			stat("a healed image", image, nil, nil)
			stat("its index", index, nil, nil)
		})
	}
}

// TestRepair marks what is missing and what is damaged.
func TestRepair(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(b registrytest.Blob) []byte
		kind engine.ProblemKind
		deep bool // it takes
	}{
		{"missing", func(registrytest.Blob) []byte { return nil }, engine.Lost, false},
		{"short", func(b registrytest.Blob) []byte { return b.Bytes[1:] }, engine.Damaged, true},
		{"rotten", func(b registrytest.Blob) []byte { return registrytest.NewBlob(77, len(b.Bytes)).Bytes }, engine.Damaged, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, s, image, key := lossyRegistry(t)
			replaceObject(t, s, key, c.with(image.Blobs[1]))
			for _, p := range inspect(t, e, engine.Check{Repair: true}) {
				if p.Repaired != !c.deep {
					t.Errorf("without looking deep: %+v", p)
				}
			}
			if c.deep {
				found := inspect(t, e, engine.Check{Repair: true, Deep: true})
				if len(found) != 1 || found[0].Kind != c.kind || !found[0].Repaired {
					t.Fatalf("found %+v, want one %s, repaired", found, c.kind)
				}
			}
			wantUnknown(t, e, image)
			if found := inspect(t, e, engine.Check{Repair: true}); len(found) != 1 || found[0].Kind != engine.Lost || found[0].Repaired {
				t.Errorf("a second repair finds %+v, want one lost", found)
			}
			wantHealed(t, e, image.Blobs[1])
			want(t, "DoDueJobs", e.DoDueJobs(t.Context()), nil)
			if _, err := s.Size(t.Context(), key); err == nil {
				t.Error("the damaged object is still there")
			}
		})
	}
}

// TestObjectThatComesBack is a disk that was not mounted for a while.
func TestObjectThatComesBack(t *testing.T) {
	e, s, image, key := lossyRegistry(t)
	b := image.Blobs[1]
	replaceObject(t, s, key, nil)
	_, err := e.OpenBlob(t.Context(), "a", b.Digest, registry.Span{})
	want(t, "OpenBlob", err, registry.ErrBlobUnknown)
	replaceObject(t, s, key, b.Bytes)
	summary, err := e.Inspect(t.Context(), engine.Check{Found: func(p engine.Problem) error {
		if p.Kind == engine.Orphan {
			t.Errorf("the object of a lost blob is taken for an orphan")
		}
		return nil
	}})
	if err != nil || summary.Losses == 0 {
		t.Errorf("Inspect: %+v, %v", summary, err)
	}
	if found := inspect(t, e, engine.Check{Repair: true}); len(found) != 1 || found[0].Kind != engine.Regained || !found[0].Repaired {
		t.Errorf("found %+v, want one regained", found)
	}
	_, err = e.StatBlob(t.Context(), "a", b.Digest)
	want(t, "StatBlob", err, nil)
	if found := inspect(t, e, engine.Check{Deep: true}); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

// interrupting is a store during whose first use somebody presses Ctrl-C.
type interrupting struct {
	blob.Store
	cancel func()
}

func (i interrupting) Size(ctx context.Context, key blob.Key) (int64, error) {
	size, err := i.Store.Size(ctx, key)
	i.cancel()
	return size, err
}

// TestInterruptedInspection finds no damage where it only was stopped.
func TestInterruptedInspection(t *testing.T) {
	db, s := openDB(t), mem.New()
	lossyRegistryOn(t, db, s)
	ctx, cancel := context.WithCancel(t.Context())
	e := engine.New(db, interrupting{s, cancel}, open)
	_, err := e.Inspect(ctx, engine.Check{Deep: true, Repair: true, Found: func(p engine.Problem) error {
		t.Errorf("found %+v", p)
		return nil
	}})
	want(t, "Inspect", err, context.Canceled)
}
