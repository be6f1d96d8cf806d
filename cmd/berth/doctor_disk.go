package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth/storage/checkup"
)

// folder is one in which berth keeps files.
type folder struct {
	name    string // of its checks
	path    string
	reserve int64 // bytes that are left free
	blobs   bool  // or the database

	there string // the folder itself, or the nearest one above it that exists
}

func parent(path string) string { return filepath.Dir(path) }

func (f folder) check(ctx context.Context, checks *checkup.Checks) {
	writable, system, space, sync := f.name+" folder", f.name+" file system", f.name+" space", f.name+" sync"
	f.there = f.path
	for f.there != parent(f.there) {
		if _, err := os.Stat(f.there); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		f.there = parent(f.there)
	}
	checks.Do(ctx, writable, f.writable)
	checks.Do(ctx, system, f.system, writable)
	checks.Do(ctx, space, f.space, writable)
	if f.blobs {
		checks.Do(ctx, f.name+" unnamed files", f.unnamed, writable)
	}
	checks.Do(ctx, sync, f.sync, writable)
}

func (f folder) writable(context.Context) checkup.Finding {
	info, err := os.Stat(f.there)
	if err != nil {
		return f.refused(err)
	}
	if !info.IsDir() {
		return checkup.Bad(f.there+" is not a folder", "name another, or move it away")
	}
	if err := f.try(func(*os.File) error { return nil }); err != nil {
		return f.refused(err)
	}
	// Root may write everywhere, which says nothing of the user that the service has.
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 && owner.Uid != 0 {
		return checkup.Warn(fmt.Sprintf("%s belongs to the user %d, and the doctor runs as root", f.there, owner.Uid), "run the doctor as the user who runs berth: sudo -u '#"+fmt.Sprint(owner.Uid)+"' berth doctor …")
	}
	if f.there != f.path {
		return checkup.Fine("%s is not there yet and can be made", f.path)
	}
	return checkup.Fine("%s can be written to", f.path)
}

// try calls do with a file that is gone afterwards.
func (f folder) try(do func(*os.File) error) error {
	file, err := os.CreateTemp(f.there, ".berth-doctor-")
	if err != nil {
		return err
	}
	err = do(file)
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}

func (f folder) refused(err error) checkup.Finding {
	seen := err.Error()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return checkup.Bad(seen, fmt.Sprintf("give it to the user who runs berth (now %d): chown -R %[1]d %s", os.Geteuid(), f.there))
	case errors.Is(err, syscall.EROFS):
		return checkup.Bad(seen, "mount the file system for writing, or allow the folder to the service (ReadWritePaths= in systemd)")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return checkup.Bad(seen, "free space, or inodes (df -i)")
	case errors.Is(err, syscall.ENOTDIR):
		return checkup.Bad(seen, "name another folder")
	}
	return checkup.Bad(seen, "see whether the disk has faults (dmesg)")
}

func (f folder) system(context.Context) checkup.Finding {
	kind, err := fileSystem(f.there)
	if err != nil {
		return checkup.Fine("not known: %v", err)
	}
	switch kind {
	case "nfs", "cifs", "smb", "afs", "ceph", "9p", "lustre", "coda":
		if !f.blobs {
			return checkup.Warn("a network file system ("+kind+"), on which SQLite may damage the database", "keep the database on a local disk, or use PostgreSQL")
		}
		return checkup.Warn("a network file system ("+kind+"): locks and fsync may not do what they say, and there is one more thing to fail", "use a local disk, or a bucket (--storage s3://…)")
	case "fuse":
		return checkup.Warn("a file system in user space (fuse), which may be a network behind it", "see that it honours fsync and locks; a local disk is best")
	case "overlay":
		return checkup.Warn("the file system of a container, which goes with it", "mount a volume at "+f.path)
	case "tmpfs":
		return checkup.Warn("memory (tmpfs), which a restart of the machine empties", "use a folder on a disk")
	}
	return checkup.Fine("%s", kind)
}

// ample is what should be free besides the reserve, in bytes, and how many files.
const (
	ample      = 1 << 30
	ampleFiles = 10_000
)

func (f folder) space(context.Context) checkup.Finding {
	var st unix.Statfs_t
	if err := unix.Statfs(f.there, &st); err != nil {
		return f.refused(err)
	}
	if st.Blocks == 0 {
		return checkup.Fine("the file system does not tell")
	}
	unit := fragment(st)
	free := int64(min(uint64(st.Bavail), uint64(math.MaxInt64/unit))) * unit
	if st.Files > 0 && uint64(st.Ffree) < ampleFiles {
		return checkup.Warn(fmt.Sprintf("there is room for %d files only", st.Ffree), "make room for more (df -i); the number is fixed when a file system is made")
	}
	return space(free, f.reserve)
}

func space(free, reserve int64) checkup.Finding {
	seen := fmt.Sprintf("%s are free", formatBytes(free))
	if reserve > 0 {
		seen += fmt.Sprintf(", of which --disk-reserve keeps %s", formatBytes(reserve))
	}
	switch {
	case free <= reserve:
		return checkup.Bad(seen, "free space: every push is answered 507")
	case free-reserve < ample:
		return checkup.Warn(seen, "free space before pushes are answered 507")
	}
	return checkup.Fine("%s", seen)
}

func (f folder) unnamed(context.Context) checkup.Finding {
	file, err := unnamedFile(f.there)
	if err != nil {
		return checkup.Warn("files cannot be made without a name (O_TMPFILE): "+err.Error(), "berth works without; on ext4 or xfs pushes are a little faster, and a crash leaves no pieces behind")
	}
	if err := file.Close(); err != nil {
		return f.refused(err)
	}
	return checkup.Fine("files can be made without a name (O_TMPFILE)")
}

// slowSync is how long a sync may take.
const slowSync = 20 * time.Millisecond

func (f folder) sync(ctx context.Context) checkup.Finding {
	var took time.Duration
	err := f.try(func(file *os.File) (err error) {
		block := make([]byte, 4096)
		took, err = checkup.Median(9, func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := file.Write(block); err != nil {
				return err
			}
			return file.Sync()
		})
		return err
	})
	if err != nil {
		return f.refused(err)
	}
	seen := fmt.Sprintf("4 KiB are on the disk in %s (the median of 9)", took.Round(10*time.Microsecond))
	if took > slowSync {
		return checkup.Warn(seen, "every push waits for that some times: use an SSD")
	}
	return checkup.Fine("%s", seen)
}
