package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/fs"
	"berth/storage/blob/s3"
	"berth/storage/blob/s3/s3test"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
	"berth/storage/transfer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

// onDisk is a place with an empty registry in a folder.
func onDisk(t *testing.T) (transfer.Place, string) {
	t.Helper()
	dir := t.TempDir()
	blobs, err := fs.Open(filepath.Join(dir, "blobs"), fs.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	return transfer.Place{Database: openDB(t, "sqlite:"+filepath.Join(dir, "berth.db")), Blobs: blobs}, dir
}

// elsewhere is one on PostgreSQL and in a bucket.
func elsewhere(t *testing.T) transfer.Place {
	t.Helper()
	return transfer.Place{Database: openDB(t, pgtest.Database(t)), Blobs: openBucket(t)}
}

func openBucket(t *testing.T) *s3.Store {
	t.Helper()
	server := s3test.Start(t)
	opts, err := s3.ParseURL(server.URL(server.Bucket(t)))
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(context.Background()) })
	return store
}

func openDB(t *testing.T, url string) *meta.DB {
	t.Helper()
	db, err := meta.Open(t.Context(), url, meta.Options{Connections: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// populate pushes images, and returns what pulls them all and compares.
func populate(t *testing.T, p transfer.Place, from, to int) (check func(t *testing.T, p transfer.Place)) {
	t.Helper()
	opts := engine.Options{CreateOnPush: true, MaxSmallBlob: 2000}
	e := engine.New(p.Database, p.Blobs, opts)
	var images []registrytest.Image
	for i := from; i < to; i++ {
		image := registrytest.Recipe{Seed: uint64(i)}.Image()
		big := registrytest.NewBlob(uint64(i), 1_000_000*(i+1))
		for _, b := range append(image.Blobs, big) {
			if _, err := e.PutBlob(t.Context(), "a/b", b.Chunk(), b.Digest); err != nil {
				t.Fatal(err)
			}
		}
		image.Blobs = append(image.Blobs, big)
		if _, err := e.PutManifest(t.Context(), "a/b", image.Manifest, []registry.Tag{registry.Tag(fmt.Sprintf("v%d", i))}); err != nil {
			t.Fatal(err)
		}
		images = append(images, image)
	}
	return func(t *testing.T, p transfer.Place) {
		t.Helper()
		e := engine.New(p.Database, p.Blobs, opts)
		for _, image := range images {
			m, err := e.Manifest(t.Context(), "a/b", image.Reference())
			if err != nil || !bytes.Equal(m.Bytes, image.Manifest.Bytes) {
				t.Errorf("manifest %s: %v", image.Digest, err)
			}
			for _, b := range image.Blobs {
				open, err := e.OpenBlob(t.Context(), "a/b", b.Digest, registry.Span{})
				if err != nil {
					t.Errorf("blob %s: %v", b.Digest, err)
					continue
				}
				got, err := io.ReadAll(open.Content)
				open.Content.Close()
				if err != nil || b.Digest.Algorithm().FromBytes(got) != b.Digest {
					t.Errorf("blob %s has %d other bytes (%v)", b.Digest, len(got), err)
				}
			}
		}
		s, err := e.Inspect(t.Context(), engine.Check{Deep: true, Found: func(p engine.Problem) error {
			t.Errorf("fsck: %+v", p)
			return nil
		}})
		if err != nil || s.Losses+s.Orphans > 0 {
			t.Errorf("fsck: %+v, %v", s, err)
		}
	}
}

func move(t *testing.T, from, to transfer.Place) transfer.Summary {
	t.Helper()
	s, err := transfer.Move(t.Context(), from, to, 4, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMove takes a registry to PostgreSQL and a bucket, and back.
func TestMove(t *testing.T) {
	disk, _ := onDisk(t)
	check := populate(t, disk, 0, 8)
	cloud := elsewhere(t)
	s := move(t, disk, cloud)
	if s.Copied == 0 || s.Copied != s.Objects || s.Rows["tags"] != 8 {
		t.Errorf("%+v", s)
	}
	check(t, cloud)
	checkMore := populate(t, cloud, 8, 10)
	back, _ := onDisk(t)
	move(t, cloud, back)
	check(t, back)
	checkMore(t, back)
	if _, err := transfer.Move(t.Context(), disk, back, 4, quiet); !errors.Is(err, registry.ErrNotEmpty) {
		t.Errorf("onto a registry that is in use: %v; want ErrNotEmpty", err)
	}
	check(t, back)
}

// failing is a store that takes so many objects and no more.
type failing struct {
	blob.Store
	left int
}

var errPulled = errors.New("the plug is pulled")

func (f *failing) Create(ctx context.Context, key blob.Key) (blob.Writer, error) {
	if f.left--; f.left < 0 {
		return nil, errPulled
	}
	return f.Store.Create(ctx, key)
}

// TestMoveGoesOn is cut off in the middle and does the rest the second time.
func TestMoveGoesOn(t *testing.T) {
	from, _ := onDisk(t)
	check := populate(t, from, 0, 6)
	to, _ := onDisk(t)
	half := transfer.Place{Database: to.Database, Blobs: &failing{Store: to.Blobs, left: 5}}
	if _, err := transfer.Move(t.Context(), from, half, 1, quiet); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	if err := to.Database.MustBeEmpty(t.Context()); err != nil {
		t.Errorf("after a half move: %v", err)
	}
	s := move(t, from, to)
	if s.Objects-s.Copied != 5 {
		t.Errorf("%d of %d objects were copied; want all but 5", s.Copied, s.Objects)
	}
	check(t, to)
}

// TestMoveFindsDamage does not carry over what is not what it should be.
func TestMoveFindsDamage(t *testing.T) {
	from, dir := onDisk(t)
	populate(t, from, 0, 3)
	objects, err := filepath.Glob(filepath.Join(dir, "blobs", "objects", "*", "*"))
	if err != nil || len(objects) < 3 {
		t.Fatal(objects, err)
	}
	for path, harm := range map[string]func(string) error{
		objects[0]: os.Remove,
		objects[1]: func(path string) error { return os.WriteFile(path, []byte("rotten"), 0o600) },
	} {
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
	}
	to, _ := onDisk(t)
	_, err = transfer.Move(t.Context(), from, to, 4, quiet)
	var lost *transfer.LostError
	if !errors.As(err, &lost) || len(lost.Digests) != 2 {
		t.Errorf("%v; want two lost blobs", err)
	}
	if err := to.Database.MustBeEmpty(t.Context()); err != nil {
		t.Errorf("a registry with losses is at the destination: %v", err)
	}
}
