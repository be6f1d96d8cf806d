//go:build !linux

package fs

import (
	"math"

	"golang.org/x/sys/unix"
)

func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	if st.Blocks == 0 { // a file system that cannot tell, as some on FUSE
		return math.MaxInt64, nil
	}
	unit := int64(st.Bsize)
	return min(int64(st.Bavail), math.MaxInt64/unit) * unit, nil
}
