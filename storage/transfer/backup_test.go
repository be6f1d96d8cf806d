package transfer_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/storage/blob"
	"berth/storage/blob/fs"
	"berth/storage/meta"
	"berth/storage/transfer"
)

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
						err = tx.DeleteObjects(ctx, []blob.Key{b.Key})
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
