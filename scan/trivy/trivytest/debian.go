//go:build goexperiment.jsonv2

package trivytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Debian makes the tar of a Debian 12 with debootstrap, which it installs by apt if it is
// missing, and returns its path. It is made once and kept in the user's cache.
//
// It takes root and a Debian mirror the first time, and a test that cannot have it fails.
func Debian(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "berth", "debian")
	path := filepath.Join(dir, "bookworm-minbase.tar")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		run(t, "apt-get", "update", "-q")
		run(t, "apt-get", "install", "-q", "-y", "--no-install-recommends", "debootstrap")
	}
	work, err := os.MkdirTemp(dir, "making-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(work); err != nil {
			t.Error(err)
		}
	}()
	tree, made := filepath.Join(work, "tree"), filepath.Join(work, "tree.tar")
	run(t, "debootstrap", "--variant=minbase", "bookworm", tree)
	run(t, "tar", "-C", tree, "--sort=name", "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb",
		"--exclude=./var/lib/apt/lists/*", "--exclude=./dev/*", "-cf", made, ".")
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t testing.TB, name string, arguments ...string) {
	t.Helper()
	cmd := exec.Command(name, arguments...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		if len(out) > 2000 {
			out = out[len(out)-2000:]
		}
		t.Fatalf("the Debian for tests cannot be made: %s: %v\n%s", cmd, err, out)
	}
}
