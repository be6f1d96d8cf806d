package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth/registry/engine"
	"berth/storage/blob"
	"berth/storage/blob/fs"
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
	path, ok := strings.CutPrefix(f.database(), "sqlite:")
	if !ok {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no registry in %s (%w); name its folder with --data", f.Data, err)
	}
	return nil
}

// openEngine opens the registry itself for a command that administers it.
func (f dataFlags) openEngine(ctx context.Context, opts engine.Options) (*engine.Engine, func() error, error) {
	db, err := f.openDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	blobs, err := openBlobs(f.storage(), 0)
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return engine.New(db, blobs, opts), db.Close, nil
}

func openBlobs(rawURL string, reserve int64) (blob.Store, error) {
	scheme, path, _ := strings.Cut(rawURL, ":")
	if scheme != "fs" || path == "" {
		return nil, fmt.Errorf("storage %q: only fs:DIR is supported", redact(rawURL))
	}
	return fs.Open(path, fs.Options{Reserve: reserve})
}

// lockData makes sure that one server at a time uses a data folder. The lock goes
// with the process, however it ends.
func lockData(dir string, log *slog.Logger) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "berth.lock"), os.O_CREATE|os.O_RDWR, 0o600)
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
