package worker

import (
	"io/fs"
	"syscall"
)

// occupied is what a file takes on the disk, which is less than its length if it has holes.
func occupied(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(s.Blocks) * 512
	}
	return info.Size()
}
