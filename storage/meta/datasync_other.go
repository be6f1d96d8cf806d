//go:build !linux

package meta

import "os"

func datasync(file *os.File) error { return file.Sync() }
