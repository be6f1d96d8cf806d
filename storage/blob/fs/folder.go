package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"berth/storage/blob"
)

const (
	objectsFolder    = "objects"
	unfinishedFolder = "unfinished"
)

func (s *Store) object(key blob.Key) string {
	return s.dir + "/" + objectsFolder + "/" + string(key)
}

func (s *Store) unfinished(key blob.Key) string {
	return s.dir + "/" + unfinishedFolder + "/" + string(key[3:])
}

// makeFolders makes all folders the store will ever have, 00 to ff included, so that
// a commit neither looks for one nor has to make a new one durable. The first time
// that takes some milliseconds, afterwards it is one list to read.
func (s *Store) makeFolders() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	objects := filepath.Join(s.dir, objectsFolder)
	made := false
	for _, name := range []string{objects, filepath.Join(s.dir, unfinishedFolder)} {
		if err := makeFolder(name, &made); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(objects)
	if err != nil {
		return err
	}
	have := make(map[string]bool, len(entries))
	for _, e := range entries {
		have[e.Name()] = true
	}
	for i := range 256 {
		if name := fmt.Sprintf("%02x", i); !have[name] {
			if err := makeFolder(filepath.Join(objects, name), &made); err != nil {
				return err
			}
		}
	}
	if !made {
		return nil
	}
	for _, name := range []string{objects, s.dir, filepath.Dir(s.dir)} {
		if err := s.syncFolder(name); err != nil {
			return err
		}
	}
	return nil
}

func makeFolder(name string, made *bool) error {
	err := os.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	*made = *made || err == nil
	return err
}

// syncFolder makes the names in a folder durable. Some network file systems have no
// such call; what they promise about names, they promise without it.
func (s *Store) syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	err = s.sync(folder)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// remove is os.Remove for files, which asks once and not a second time for folders.
func remove(name string) error {
	err := syscall.Unlink(name)
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Unlink(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault("remove", err)
	}
	return nil
}
