package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What is in the folder of a worker.
const (
	lockFile       = "lock"
	tempFolder     = "temp"      // a folder for each engine
	databaseFolder = "databases" // for each kind a folder, with one for each database
)

// openFolder makes the folder of a worker ready: what earlier lives left behind in temp is
// removed. The lock goes with the process, however it ends.
func openFolder(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another worker uses the folder %s; give each its own", dir)
		}
		return nil, fmt.Errorf("the folder %s cannot be locked: %w", dir, err)
	}
	temp := filepath.Join(dir, tempFolder)
	if err := errors.Join(removeAll(temp), os.Mkdir(temp, 0o700)); err != nil {
		lock.Close()
		return nil, err
	}
	return func() { lock.Close() }, nil
}

// removeAll removes a folder, also if there are folders in it that may not be written to.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
