// Command vulndb makes the folder of a vulnerability database, trivy.db and metadata.json, of
// the fixtures that Trivy's own tests use and of other files in the same form:
//
//	go run ./conformance/internal/vulndb [-updated TIME] DIR [FILE.yaml…]
//
// `berth scan db import DIR` brings it into a registry.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	fixtures "github.com/aquasecurity/bolt-fixtures"
)

// schema is the version that databases of today have.
const schema = 2

func main() {
	updated := flag.String("updated", time.Now().UTC().Format(time.RFC3339), "when the database was made")
	flag.Parse()
	if flag.NArg() < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(flag.Arg(0), *updated, flag.Args()[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}

func write(dir, updated string, files []string) error {
	at, err := time.Parse(time.RFC3339, updated)
	if err != nil {
		return err
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aquasecurity/trivy").Output()
	if err != nil {
		return fmt.Errorf("looking for the sources of Trivy: %w", err)
	}
	own, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "integration/testdata/fixtures/db/*.yaml"))
	if err != nil || len(own) == 0 {
		return fmt.Errorf("no fixtures of Trivy are in %q: run go mod download github.com/aquasecurity/trivy", out)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	loader, err := fixtures.New(filepath.Join(dir, "trivy.db"), append(own, files...))
	if err != nil {
		return err
	}
	if err := loader.Load(); err != nil {
		return err
	}
	if err := loader.Close(); err != nil {
		return err
	}
	metadata, err := json.Marshal(map[string]any{"Version": schema, "UpdatedAt": at, "NextUpdate": at.Add(24 * time.Hour), "DownloadedAt": at})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "metadata.json"), metadata, 0o644)
}
