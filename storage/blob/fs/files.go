package fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/storage/blob"
)

// filesFolder holds what [blob.Files] keeps.
const filesFolder = "files"

// PutFile writes a file and gives it its name once it is whole and on the disk.
func (s *Store) PutFile(ctx context.Context, name string, r io.Reader) (err error) {
	if err := checkFileName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	folder := filepath.Join(s.dir, filesFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fault("put a file", err)
	}
	file, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return fault("put a file", err)
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = io.Copy(file, r)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fault("put a file", err)
	}
	if err := os.Rename(file.Name(), filepath.Join(folder, name)); err != nil {
		return fault("put a file", err)
	}
	if err := s.syncFolder(folder); err != nil {
		return fault("put a file", err)
	}
	return nil
}

// OpenFile opens a file.
func (s *Store) OpenFile(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkFileName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(s.dir, filesFolder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrNotExist
	}
	if err != nil {
		return nil, fault("open a file", err)
	}
	return file, nil
}

// Files lists the names of all files.
func (s *Store) Files(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, filesFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault("list files", err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func checkFileName(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") {
		return errors.New("blob/fs: a file cannot have that name")
	}
	return nil
}

var _ blob.Files = (*Store)(nil)
