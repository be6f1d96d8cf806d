package fs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"berth/storage/blob"
	"berth/storage/blob/blobtest"
)

// small mounts a file system of a few MiB. That takes root, so a laptop may do
// without, but CI may not.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("berth", dir, "tmpfs", 0, "size=6m,mode=700"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a tmpfs: %v", err)
		}
		t.Skipf("mount a tmpfs: %v; run the test as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestFullDisk lets the kernel say that the disk is full: there is no reserve.
func TestFullDisk(t *testing.T) {
	dir := small(t)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "blobs"), Options{
		Reserve:   -1,
		FreeSpace: func(string) (int64, error) { return 1 << 40, nil },
	})
	blobtest.RunFull(t, s, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReserveOfDisk keeps room on a disk for who shares it.
func TestReserveOfDisk(t *testing.T) {
	const reserve = 2 << 20
	dir := small(t)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "blobs"), Options{Reserve: reserve})
	blobtest.RunFull(t, s, func() {
		if free, err := freeSpace(dir); free < reserve || err != nil {
			t.Errorf("%d bytes are left, %v; want %d", free, err, reserve)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNoInode has room for bytes but not for another file.
func TestNoInode(t *testing.T) {
	dir := small(t)
	s := open(t, dir, Options{Reserve: -1})
	if err := unix.Mount("berth", dir, "tmpfs", unix.MS_REMOUNT, "nr_inodes=263"); err != nil {
		t.Skipf("limit inodes: %v", err)
	}
	for i := range 10 {
		_, err := s.Create(t.Context(), blob.NewKey())
		if errors.Is(err, blob.ErrFull) {
			return
		}
		if err != nil {
			t.Fatalf("Create number %d: %v", i, err)
		}
	}
	t.Error("no Create was refused")
}
