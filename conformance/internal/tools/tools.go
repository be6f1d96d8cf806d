// Package tools has the programs that the conformance tests run beside berth: those in Go are built once, at pinned
// versions, and kept in a cache folder.
package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Folder is the cache, $BERTH_CACHE or ~/.cache/berth. Programs are in its folder bin.
func Folder() (string, error) {
	if cache := os.Getenv("BERTH_CACHE"); cache != "" {
		return cache, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cache", "berth"), err
}

// Program is a program in Go.
type Program struct {
	Module  string
	Version string
	Package string // within the module
}

// Install builds p, which may take minutes, unless the cache has it, and returns where it is.
func Install(ctx context.Context, p Program) (string, error) {
	cache, err := Folder()
	if err != nil {
		return "", err
	}
	name := path.Base(p.Package)
	file := filepath.Join(cache, "bin", name)
	// A binary says which module and version it was built from.
	about, err := exec.CommandContext(ctx, "go", "version", "-m", file).Output()
	if err == nil && strings.Contains(string(about), "\tmod\t"+p.Module+"\t"+p.Version+"\t") {
		return file, nil
	}
	fmt.Fprintf(os.Stderr, "building %s %s\n", name, p.Version)
	source := path.Join(p.Module, p.Package) + "@" + p.Version
	install := exec.CommandContext(ctx, "go", "install", source)
	install.Env = append(os.Environ(), "GOBIN="+filepath.Dir(file), "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s: %w\n%s", source, err, out)
	}
	return file, nil
}
