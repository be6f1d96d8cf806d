package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"berth/storage/blob"
)

var errEnded = errors.New("blob/fs: the writer has ended")

// fault is err with what was being done, and ErrFull if that is the cause: no block,
// no inode, or the quota of the user is used up.
func fault(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %s: %w", blob.ErrFull, doing, err)
	}
	return fmt.Errorf("blob/fs: %s: %w", doing, err)
}

// missing is fault for what reads a committed object.
func missing(doing string, key blob.Key, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", blob.ErrNotExist, key)
	}
	return fault(doing, err)
}
