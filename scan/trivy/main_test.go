//go:build goexperiment.jsonv2

package trivy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	xos "github.com/aquasecurity/trivy/pkg/x/os"
)

// scanner is the one that there can be in a process.
var scanner *Scanner

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	outside, err := os.MkdirTemp("", "scan-trivy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(outside)
	temp, tests := filepath.Join(outside, "temp"), filepath.Join(outside, "tests")
	if err := errors.Join(os.Mkdir(temp, 0o700), os.Mkdir(tests, 0o700), os.Setenv("GOTMPDIR", tests)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if scanner, err = New(Options{Temp: temp}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// limit gives the scanner other limits while a test runs.
func limit(t *testing.T, bytes, entries int64) {
	t.Helper()
	before := scanner.options
	scanner.options.MaxBytes, scanner.options.MaxEntries = bytes, entries
	t.Cleanup(func() { scanner.options = before })
}

// noTemporaryFiles fails if an image has left something, in the folder for that or beside it.
func noTemporaryFiles(t *testing.T) {
	t.Helper()
	for _, dir := range []string{scanner.work, xos.TempDir(), scanner.options.Temp, filepath.Dir(scanner.options.Temp)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			switch path := filepath.Join(dir, e.Name()); path {
			case scanner.work, xos.TempDir(), scanner.options.Temp, scanner.java.folder, os.Getenv("GOTMPDIR"):
			default:
				t.Errorf("%s was left behind", path)
			}
		}
	}
}
