package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth/registry/engine"
	"berth/storage/blob"
	"berth/storage/blob/fs"
	"berth/storage/blob/s3"
	"berth/storage/meta"
)

// openDatabase opens the database of a command that administers a registry.
func (f dataFlags) openDatabase(ctx context.Context) (*meta.DB, error) {
	if err := f.mustExist(); err != nil {
		return nil, err
	}
	return meta.Open(ctx, f.database(), meta.Options{Connections: 2})
}

// mustExist keeps a mistyped --data from making an empty registry.
func (f dataFlags) mustExist() error {
	if err := f.exists(); err != nil {
		return fmt.Errorf("%w; name its folder with --data", err)
	}
	return nil
}

// exists reports, of a database in a file, whether the file is there.
func (f dataFlags) exists() error {
	path, ok := strings.CutPrefix(f.database(), "sqlite:")
	if !ok {
		return nil
	}
	switch _, err := os.Stat(path); {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: only the user who runs the server, or root, may look there", err)
	case err != nil:
		return fmt.Errorf("there is no registry in %s (%w)", cmp.Or(f.Data, filepath.Dir(path)), err)
	}
	return nil
}

// openEngine opens the registry itself for a command that administers it.
func (f dataFlags) openEngine(ctx context.Context, opts engine.Options) (*engine.Engine, func() error, error) {
	db, err := f.openDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	blobs, closeBlobs, err := f.openBlobs(ctx, storeOptions{})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return engine.New(db, blobs, opts), func() error { return errors.Join(closeBlobs(ctx), db.Close()) }, nil
}

// storeOptions are what only some stores have use for.
type storeOptions struct {
	reserve int64 // bytes of the disk
	memory  int64 // bytes of all pushes to a bucket
	observe func(s3.Operation)
	log     *slog.Logger
}

// openBlobs opens the blob store. What it returns beside it waits for the store's work
// in the background.
func (f dataFlags) openBlobs(ctx context.Context, o storeOptions) (blob.Store, func(context.Context) error, error) {
	scheme, path, _ := strings.Cut(f.storage(), ":")
	switch {
	case scheme == "fs" && path != "":
		store, err := fs.Open(path, fs.Options{Reserve: o.reserve})
		return store, func(context.Context) error { return nil }, err
	case scheme == "s3":
		opts, err := s3.ParseURL(f.storage())
		if err != nil {
			return nil, nil, err
		}
		if opts.Memory == 0 {
			opts.Memory = o.memory
		}
		opts.Observe, opts.Logger = o.observe, o.log
		store, err := s3.Open(ctx, opts)
		if err != nil {
			return nil, nil, err
		}
		return store, store.Close, nil
	}
	return nil, nil, fmt.Errorf("storage %q: it should be fs:DIR or s3://BUCKET/PREFIX", redact(f.storage()))
}

// sameStorage reports whether two URLs of openBlobs name the same place.
func sameStorage(a, b string) bool {
	schemeA, pathA, _ := strings.Cut(a, ":")
	schemeB, pathB, _ := strings.Cut(b, ":")
	if schemeA != schemeB {
		return false
	}
	if schemeA == "fs" {
		return samePath(pathA, pathB)
	}
	optsA, errA := s3.ParseURL(a)
	optsB, errB := s3.ParseURL(b)
	return errA == nil && errB == nil && optsA.SamePlace(optsB)
}

// samePath reports whether two paths lead to the same folder, which need not be there.
func samePath(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// chunkMinLength is what clients that push in chunks are told: a bucket takes parts of
// 5 MiB, and the rest of a smaller chunk waits in the database.
func chunkMinLength(storage string) int64 {
	if strings.HasPrefix(storage, "s3:") {
		return 5 << 20
	}
	return 0
}

// served reports whether a server is seen to use a data folder.
func served(dir string) bool {
	file, err := os.Open(filepath.Join(dir, lockFile))
	if err != nil {
		return false
	}
	defer file.Close()
	return unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB) == unix.EWOULDBLOCK
}

// lockFile is in a data folder and held by the server that uses it.
const lockFile = "berth.lock"

// lockData makes sure that one server at a time uses a data folder. The lock goes
// with the process, however it ends.
func lockData(dir string, log *slog.Logger) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		if err == unix.EWOULDBLOCK {
			return nil, fmt.Errorf("another berth serves the folder %s", dir)
		}
		log.Warn("the data folder cannot be locked; see that only one server uses it", "folder", dir, "error", err)
		return nil, nil
	}
	return file, nil
}
