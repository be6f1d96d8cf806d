package main

import (
	"io"
	"os"
	"path/filepath"
)

// files keeps blobs as files below a folder.
type files string

func (dir files) create(id string) (sink, error) {
	f, err := os.Create(filepath.Join(string(dir), "uploads", id))
	return file{f, filepath.Join(string(dir), "blobs")}, err
}

func (dir files) open(name string) (io.ReadCloser, int64, error) {
	f, err := os.Open(filepath.Join(string(dir), "blobs", name))
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	return f, st.Size(), err
}

// file is one that arrives, and the folder it is for.
type file struct {
	*os.File
	dir string
}

func (f file) settle(name string) error { return settle(f.File, f.dir, name) }

// settle makes a file durable under its name.
func settle(f *os.File, dir, name string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
