//go:build goexperiment.jsonv2

package trivytest

import (
	_ "embed" // for advisories
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fixtures "github.com/aquasecurity/bolt-fixtures"
	trivydb "github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
)

// advisories are those that Trivy's fixtures do not have: about packages of the Debian that
// [Debian] makes, and of images of this package's tests.
//
//go:embed testdata/advisories.yaml
var advisories string

// Database makes the folder of a vulnerability database, of trivy.db and metadata.json:
// Trivy's fixtures, advisories of ours, and more in the same YAML.
func Database(t testing.TB, updated time.Time, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(ModuleDir(t, "github.com/aquasecurity/trivy"), "integration/testdata/fixtures/db/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no fixtures in the module of Trivy: %v", err)
	}
	sources := t.TempDir()
	for n, content := range append([]string{advisories}, more...) {
		path := filepath.Join(sources, string(rune('a'+n))+".yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	loader, err := fixtures.New(trivydb.Path(dir), files)
	if err != nil {
		t.Fatal(err)
	}
	if err := loader.Load(); err != nil {
		t.Fatal(err)
	}
	if err := loader.Close(); err != nil {
		t.Fatal(err)
	}
	WriteMetadata(t, dir, trivydb.SchemaVersion, updated)
	return dir
}

// JavaIndex makes the folder of an index of Java archives: the one of Trivy's tests.
func JavaIndex(t testing.TB, updated time.Time) string {
	t.Helper()
	dir := t.TempDir()
	const path = "pkg/fanal/analyzer/language/java/jar/testdata/java-db/trivy-java.db"
	content, err := os.ReadFile(filepath.Join(ModuleDir(t, "github.com/aquasecurity/trivy"), path))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "trivy-java.db"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	WriteMetadata(t, dir, 1, updated)
	return dir
}

// WriteMetadata writes the metadata.json of a database.
func WriteMetadata(t testing.TB, dir string, schema int, updated time.Time) {
	t.Helper()
	content, err := json.Marshal(metadata.Metadata{
		Version: schema, UpdatedAt: updated.UTC(), NextUpdate: updated.Add(24 * time.Hour).UTC(), DownloadedAt: updated.UTC(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "metadata.json"), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ModuleDir is where the sources of a module lie that the tests are built with.
func ModuleDir(t testing.TB, path string) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("looking for the module %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}
