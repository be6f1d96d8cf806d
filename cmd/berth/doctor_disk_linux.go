package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fileSystems are those of which something is to be said, by the numbers that the
// kernel has for them, and those that are common.
var fileSystems = map[int64]string{
	unix.NFS_SUPER_MAGIC: "nfs", unix.CIFS_SUPER_MAGIC: "cifs", unix.SMB_SUPER_MAGIC: "smb", unix.SMB2_SUPER_MAGIC: "smb",
	unix.AFS_SUPER_MAGIC: "afs", unix.CEPH_SUPER_MAGIC: "ceph", unix.V9FS_MAGIC: "9p", unix.CODA_SUPER_MAGIC: "coda",
	0x0bd00bd0: "lustre", unix.FUSE_SUPER_MAGIC: "fuse", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.TMPFS_MAGIC: "tmpfs",
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", 0x2fc12fc1: "zfs", unix.F2FS_SUPER_MAGIC: "f2fs",
}

// fileSystem is the kind of file system on which a folder lies.
func fileSystem(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	number := int64(st.Type) & 0xffffffff // some architectures have it signed
	if kind := fileSystems[number]; kind != "" {
		return kind, nil
	}
	return fmt.Sprintf("file system %#x", number), nil
}

// fragment is the unit in which free space is counted.
func fragment(st unix.Statfs_t) int64 {
	if st.Frsize == 0 {
		return int64(st.Bsize)
	}
	return int64(st.Frsize)
}

func unnamedFile(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|os.O_WRONLY, 0o600)
}
