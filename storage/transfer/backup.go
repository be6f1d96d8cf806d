package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"berth/storage/blob"
	"berth/storage/meta"
)

// Shelf is where backups are: rows in a file each, and objects if they are kept too.
type Shelf interface {
	blob.Store
	blob.Files
}

const (
	backupPrefix = "backup-"
	backupSuffix = ".jsonl.gz"
)

// Backup is one file on a shelf.
type Backup struct {
	Name      string     `json:"name"`
	HeldUntil *time.Time `json:"heldUntil,omitempty"` // objects that were not copied; nil: until the hold is released
	Summary
}

// Saving says how a backup is made.
type Saving struct {
	Objects  bool          // copy those that the shelf does not have yet
	Hold     time.Duration // how long objects that are not copied stay where they are; zero means until the hold is released
	Parallel int           // objects that are copied at once
	By       string        // the version of berth
}

// Save writes the rows of a registry, as they are at one moment, into a new file on a
// shelf. The objects that they name are copied to the shelf before, or else there is a
// hold of the backup's name, so that they stay where they are.
// Errors: [LostError].
func Save(ctx context.Context, from Place, to Shelf, s Saving, log *slog.Logger) (Backup, error) {
	now := time.Now().UTC()
	b := Backup{Name: backupPrefix + now.Format(stamp) + backupSuffix}
	hold := s.Hold
	if s.Objects {
		hold = longest // what is deleted meanwhile can still be copied
	}
	if err := from.Database.AddHold(ctx, b.Name, hold); err != nil {
		return b, err
	}
	err := b.save(ctx, from, to, s, now, log)
	if err == nil && !s.Objects {
		if s.Hold > 0 {
			until := now.Add(s.Hold)
			b.HeldUntil = &until
		}
		return b, nil
	}
	return b, errors.Join(err, release(ctx, from.Database, b.Name))
}

func (b *Backup) save(ctx context.Context, from Place, to Shelf, s Saving, now time.Time, log *slog.Logger) error {
	c := copier{from: from.Blobs, to: to, parallel: s.Parallel, log: log}
	if s.Objects {
		if err := c.copyAll(ctx, pages{from.Database}); err != nil {
			return err
		}
		c.begin()
	}
	err := from.Database.Snapshot(ctx, func(snapshot *meta.Snapshot) error {
		if s.Objects {
			if err := c.copyAll(ctx, pages{snapshot}); err != nil {
				return err
			}
		}
		r, w := io.Pipe()
		written := make(chan error, 1)
		go func() {
			var err error
			b.Summary, err = WriteArchive(ctx, snapshot, w, s.By, now)
			w.CloseWithError(err)
			written <- err
		}()
		err := to.PutFile(ctx, b.Name, r)
		r.CloseWithError(errors.New("the backup could not be stored"))
		return errors.Join(err, <-written)
	})
	b.Objects, b.Copied, b.Bytes = c.summary.Objects, c.summary.Copied, c.summary.Bytes
	return err
}

// Backups lists the names of the backups on a shelf, the oldest first.
func Backups(ctx context.Context, on Shelf) ([]string, error) {
	files, err := on.Files(ctx)
	files = slices.DeleteFunc(files, func(name string) bool {
		return !strings.HasPrefix(name, backupPrefix) || !strings.HasSuffix(name, backupSuffix)
	})
	slices.Sort(files)
	return files, err
}

// Restore fills an empty registry from a backup: objects that its store does not have
// are copied from the shelf, and then the rows come, all or none.
// Errors: ErrArchive, [LostError] (objects are neither here nor there), blob.ErrNotExist
// (no such backup), registry.ErrNotEmpty.
func Restore(ctx context.Context, name string, from Shelf, to Place, parallel int, log *slog.Logger) (Backup, error) {
	b := Backup{Name: name}
	if err := to.Database.MustBeEmpty(ctx); err != nil {
		return b, err
	}
	read := func(insert func(meta.Table, []any) error) (Summary, error) {
		file, err := from.OpenFile(ctx, name)
		if err != nil {
			return Summary{}, fmt.Errorf("backup %s: %w", name, err)
		}
		defer file.Close()
		return readArchive(file, insert)
	}
	// The file is read twice, for the objects and for the rows, so that it need not be kept
	// in memory.
	c := copier{from: from, to: to.Blobs, parallel: parallel, log: log}
	if err := c.copyAll(ctx, archived{read}); err != nil {
		return b, err
	}
	err := to.Database.Fill(ctx, func(insert func(meta.Table, []any) error) (err error) {
		b.Summary, err = read(insert)
		return err
	})
	b.Objects, b.Copied, b.Bytes = c.summary.Objects, c.summary.Copied, c.summary.Bytes
	return b, err
}

// archived are the blobs of an archive.
type archived struct {
	read func(insert func(meta.Table, []any) error) (Summary, error)
}

func (a archived) each(_ context.Context, do func(meta.Blob) error) error {
	_, err := a.read(func(t meta.Table, row []any) error {
		if t.Name != "blobs" {
			return nil
		}
		b, err := meta.BlobOf(row)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		return do(b)
	})
	return err
}
