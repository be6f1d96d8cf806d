package fs

import (
	"math"

	"golang.org/x/sys/unix"
)

// freeSpace counts in fragments: f_bsize is what reads and writes like best, and on
// FUSE and virtiofs it is many times the unit in which blocks are counted.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	if st.Blocks == 0 { // a file system that cannot tell, as some on FUSE
		return math.MaxInt64, nil
	}
	unit := st.Frsize
	if unit == 0 {
		unit = st.Bsize
	}
	return int64(min(st.Bavail, uint64(math.MaxInt64/unit))) * unit, nil
}
