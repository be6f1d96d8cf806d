package clients

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// operatorName is how scripts call berth itself.
const operatorName = "berth"

// findScanner finds the scanner, which is not built for the occasion: that takes ten minutes.
func findScanner() (string, error) {
	beside := "../../bin"
	if bin := os.Getenv("BERTH_BIN"); bin != "" {
		beside = filepath.Dir(bin)
	}
	path, err := filepath.Abs(cmp.Or(os.Getenv("BERTH_SCANNER_BIN"), filepath.Join(beside, "berth-scanner")))
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("there is no scanner to test with; run make scanner, or have BERTH_SCANNER_BIN name one: %w", err)
	}
	return path, nil
}

// prepareDatabases makes two vulnerability databases.
func prepareDatabases(work string) error {
	vulndb := filepath.Join(work, "vulndb")
	if err := build(vulndb, "../internal/vulndb"); err != nil {
		return err
	}
	fixtures.vulnerabilities, fixtures.newer = filepath.Join(work, "vulnerabilities"), filepath.Join(work, "newer")
	for dir, made := range map[string]struct {
		at    time.Time
		files []string
	}{
		fixtures.vulnerabilities: {time.Now().Add(-2 * time.Hour), []string{"advisories.yaml"}},
		fixtures.newer:           {time.Now().Add(-time.Hour), []string{"advisories.yaml", "newer.yaml"}},
	} {
		args := []string{"-updated", made.at.UTC().Format(time.RFC3339), dir}
		for _, name := range made.files {
			args = append(args, filepath.Join("testdata", "vulnerabilities", name))
		}
		if out, err := exec.Command(vulndb, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("vulndb: %w: %s", err, out)
		}
	}
	return nil
}
