package fs

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A file that is written in one go has no name until it is whole: it costs the
// directory one change instead of three, and a crash leaves nothing behind.

// createUnnamed makes a file without a name on the file system of folder.
func createUnnamed(folder string) (*os.File, error) {
	return os.OpenFile(folder, unix.O_TMPFILE|os.O_WRONLY, 0o600)
}

// giveName names such a file, in place of whatever had the name.
func giveName(file *os.File, name string) error {
	// This form, unlike AT_EMPTY_PATH, takes no privilege.
	self := "/proc/self/fd/" + strconv.Itoa(int(file.Fd()))
	link := func() error {
		return unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	}
	err := link()
	if errors.Is(err, fs.ErrExist) {
		if err := unix.Unlink(name); err != nil {
			return &os.PathError{Op: "unlink", Path: name, Err: err}
		}
		err = link()
	}
	if err != nil {
		return &os.PathError{Op: "link", Path: name, Err: err}
	}
	return nil
}

// rename is os.Rename without its question whether the target is a folder, which the
// call answers itself.
func rename(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
