//go:build !linux

package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func fileSystem(string) (string, error) { return "", errors.ErrUnsupported }

func fragment(st unix.Statfs_t) int64 { return int64(st.Bsize) }

func unnamedFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }
