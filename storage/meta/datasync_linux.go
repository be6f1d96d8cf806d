package meta

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes the bytes of a file durable, and of its metadata what it takes to
// read them.
func datasync(file *os.File) error {
	err := unix.Fdatasync(int(file.Fd()))
	for errors.Is(err, unix.EINTR) {
		err = unix.Fdatasync(int(file.Fd()))
	}
	return os.NewSyscallError("fdatasync", err)
}
