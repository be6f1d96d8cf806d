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
	"time"

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

var withObjects = transfer.Saving{Objects: true, Parallel: 4, By: "test"}

// TestBackup restores onto an empty machine, from a folder and from a bucket.
func TestBackup(t *testing.T) {
	folder, err := fs.Open(t.TempDir(), fs.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	for name, shelf := range map[string]transfer.Shelf{"folder": folder, "bucket": openBucket(t)} {
		t.Run(name, func(t *testing.T) {
			from, _ := onDisk(t)
			check := populate(t, from, 0, 4)
			first, err := transfer.Save(t.Context(), from, shelf, withObjects, quiet)
			if err != nil {
				t.Fatal(err)
			}
			checkMore := populate(t, from, 4, 6)
			second, err := transfer.Save(t.Context(), from, shelf, withObjects, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if second.Copied >= second.Objects || second.Copied == 0 {
				t.Errorf("the second backup copied %d of %d objects", second.Copied, second.Objects)
			}
			if names, err := transfer.Backups(t.Context(), shelf); err != nil || len(names) != 2 || names[0] != first.Name {
				t.Errorf("there are %q (%v)", names, err)
			}
			for _, name := range []string{first.Name, second.Name} {
				to, _ := onDisk(t)
				if _, err := transfer.Restore(t.Context(), name, shelf, to, 4, quiet); err != nil {
					t.Fatal(err)
				}
				check(t, to)
				if name == second.Name {
					checkMore(t, to)
				}
				if _, err := transfer.Restore(t.Context(), name, shelf, to, 4, quiet); !errors.Is(err, registry.ErrNotEmpty) {
					t.Errorf("onto what has been restored: %v; want ErrNotEmpty", err)
				}
			}
			to, _ := onDisk(t)
			if _, err := transfer.Restore(t.Context(), "backup-none.jsonl.gz", shelf, to, 4, quiet); !errors.Is(err, blob.ErrNotExist) {
				t.Errorf("a backup that is not there: %v; want ErrNotExist", err)
			}
		})
	}
}

// TestBackupOfRowsAlone is restored beside the objects, and not without them.
func TestBackupOfRowsAlone(t *testing.T) {
	from, dir := onDisk(t)
	check := populate(t, from, 0, 2)
	shelf, err := fs.Open(t.TempDir(), fs.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := transfer.Save(t.Context(), from, shelf, transfer.Saving{Hold: time.Hour, Parallel: 4, By: "test"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	to := transfer.Place{Database: openDB(t, "sqlite:"+filepath.Join(dir, "other.db")), Blobs: from.Blobs}
	if _, err := transfer.Restore(t.Context(), b.Name, shelf, to, 4, quiet); err != nil {
		t.Fatal(err)
	}
	check(t, to)
	empty, _ := onDisk(t)
	var lost *transfer.LostError
	if _, err := transfer.Restore(t.Context(), b.Name, shelf, empty, 4, quiet); !errors.As(err, &lost) {
		t.Errorf("without the objects: %v; want a LostError", err)
	}
}

// holds are the names of the holds of a registry.
func holds(t *testing.T, p transfer.Place) []string {
	t.Helper()
	all, err := p.Database.Holds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range all {
		names = append(names, h.Name)
	}
	return names
}

// lonely is a shelf to which no file can be written.
type lonely struct{ transfer.Shelf }

func (lonely) PutFile(context.Context, string, io.Reader) error { return errPulled }

// TestHolds: a backup of rows alone can be restored also after its blobs have got other
// objects, until its hold is released.
func TestHolds(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) transfer.Place{
		"on disk":   func(t *testing.T) transfer.Place { p, _ := onDisk(t); return p },
		"elsewhere": elsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, from := t.Context(), open(t)
			check := populate(t, from, 0, 2)
			shelf := from.Blobs.(transfer.Shelf)

			// Only one that is made, and has no objects itself, needs any.
			if _, err := transfer.Save(ctx, from, lonely{shelf}, transfer.Saving{Parallel: 1}, quiet); !errors.Is(err, errPulled) {
				t.Fatal(err)
			}
			folder, err := fs.Open(t.TempDir(), fs.Options{Reserve: -1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Save(ctx, from, folder, withObjects, quiet); err != nil {
				t.Fatal(err)
			}
			if left := holds(t, from); len(left) > 0 {
				t.Errorf("there are the holds %q", left)
			}
			b, err := transfer.Save(ctx, from, shelf, transfer.Saving{Parallel: 1}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if got := holds(t, from); len(got) != 1 || got[0] != b.Name {
				t.Fatalf("there are the holds %q", got)
			}

			// Each blob gets a new object, as if its old one had been missing for a while.
			err = from.Database.Update(ctx, func(tx *meta.Tx) error {
				blobs, err := tx.Blobs(ctx, "", 100)
				for _, b := range blobs {
					if b.Key == "" || err != nil {
						continue
					}
					moved := b
					moved.Key = blob.NewKey()
					err = copyObject(ctx, from.Blobs, b.Key, moved.Key)
					if err == nil {
						_, err = tx.MoveBlob(ctx, b, moved)
					}
					if err == nil {
						err = tx.DeleteObject(ctx, b.Key)
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			e := engine.New(from.Database, from.Blobs, engine.Options{})
			restore := func() (transfer.Place, error) {
				if err := e.DoDueJobs(ctx); err != nil {
					t.Fatal(err)
				}
				check(t, from)
				to := transfer.Place{Database: openDB(t, "sqlite:"+filepath.Join(t.TempDir(), "berth.db")), Blobs: from.Blobs}
				_, err := transfer.Restore(ctx, b.Name, shelf, to, 1, quiet)
				return to, err
			}
			to, err := restore()
			if err != nil {
				t.Fatalf("while it is held: %v", err)
			}
			e2 := engine.New(to.Database, to.Blobs, engine.Options{})
			if s, err := e2.Inspect(ctx, engine.Check{Deep: true, Found: func(engine.Problem) error { return nil }}); err != nil || s.Losses > 0 {
				t.Errorf("while it is held: %+v, %v", s, err)
			}
			if err := from.Database.ReleaseHold(ctx, b.Name); err != nil {
				t.Fatal(err)
			}
			var lost *transfer.LostError
			if _, err := restore(); !errors.As(err, &lost) {
				t.Errorf("after it was released: %v; want a LostError", err)
			}
		})
	}
}

func copyObject(ctx context.Context, s blob.Store, from, to blob.Key) error {
	content, err := s.Open(ctx, from, blob.Span{})
	if err != nil {
		return err
	}
	defer content.Close()
	w, err := s.Create(ctx, to)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := io.Copy(w, content); err != nil {
		return err
	}
	return w.Commit(ctx)
}
