package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"berth/storage/blob"
)

// walkBatch is how many names are read at a time, so that a folder of any size takes
// little memory.
const walkBatch = 512

// All walks unfinished first: an object that is committed meanwhile is then seen
// twice rather than never. Files that are no objects of ours are passed over.
func (s *Store) All(ctx context.Context) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		if !s.walk(ctx, filepath.Join(s.dir, unfinishedFolder), false, yield) {
			return
		}
		for i := range 256 {
			if !s.walk(ctx, filepath.Join(s.dir, objectsFolder, fmt.Sprintf("%02x", i)), true, yield) {
				return
			}
		}
	}
}

// walk yields the objects of one folder and reports whether to go on.
func (s *Store) walk(ctx context.Context, name string, committed bool, yield func(blob.Object, error) bool) bool {
	fail := func(err error) bool {
		yield(blob.Object{}, err)
		return false
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	folder, err := os.Open(name)
	if err != nil {
		return fail(fault("walk", err))
	}
	defer folder.Close()
	for {
		entries, err := folder.ReadDir(walkBatch)
		if err == io.EOF {
			return true
		}
		if err != nil {
			return fail(fault("walk", err))
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return fail(err)
			}
			o, err := describe(name, e, committed)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue // not ours, or gone since the folder was read
			case err != nil:
				return fail(fault("walk", err))
			}
			if !yield(o, nil) {
				return false
			}
		}
	}
}

// describe says what a file is, or answers fs.ErrNotExist if it is no object that can be
// reached by its key.
func describe(folder string, e fs.DirEntry, committed bool) (blob.Object, error) {
	id := e.Name()
	if len(id) < 2 || !e.Type().IsRegular() || committed && filepath.Base(folder) != id[:2] {
		return blob.Object{}, fs.ErrNotExist
	}
	key, err := blob.ParseKey(id[:2] + "/" + id)
	if err != nil {
		return blob.Object{}, fs.ErrNotExist
	}
	info, err := e.Info()
	if err != nil {
		return blob.Object{}, err
	}
	return blob.Object{Key: key, Size: info.Size(), Committed: committed, ChangedAt: info.ModTime()}, nil
}
