//go:build !linux

package fs

import (
	"errors"
	"os"
)

func createUnnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func giveName(*os.File, string) error { return errors.ErrUnsupported }

func rename(from, to string) error { return os.Rename(from, to) }
