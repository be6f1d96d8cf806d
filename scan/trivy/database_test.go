//go:build goexperiment.jsonv2

package trivy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	trivydb "github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"

	"berth/scan"
	"berth/scan/trivy/trivytest"
)

// TestUseKeepsWhatIsGood gives the scanner one bad database after the other; it goes on
// finding what the good one has.
func TestUseKeepsWhatIsGood(t *testing.T) {
	good := trivytest.Database(t, databaseTime)
	use(t, good, trivytest.JavaIndex(t, databaseTime))
	inventory, before := scanned(t, newTestImage(t, gzipLayer(t, npm...)), newMemory())
	if len(before) == 0 {
		t.Fatal("nothing was found")
	}
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"no metadata", func(t *testing.T, dir string) { remove(t, dir, "metadata.json") }, "metadata.json cannot be read"},
		{"metadata that is not JSON", func(t *testing.T, dir string) { write(t, dir, "metadata.json", []byte("<html>")) }, "metadata.json cannot be read"},
		{"no database", func(t *testing.T, dir string) { remove(t, dir, "trivy.db") }, "no such file"},
		{"an empty file", func(t *testing.T, dir string) { write(t, dir, "trivy.db", nil) }, "trivy.db"},
		{"something else", func(t *testing.T, dir string) { write(t, dir, "trivy.db", []byte(strings.Repeat("<html>", 100000))) }, "trivy.db: invalid database"},
		{"half of it", func(t *testing.T, dir string) {
			content := read(t, dir, "trivy.db")
			write(t, dir, "trivy.db", content[:len(content)/2])
		}, "was cut off"},
		{"a damaged page", func(t *testing.T, dir string) {
			content := read(t, dir, "trivy.db")
			for n := 4 * 4096; n < len(content); n++ {
				content[n] = 0xff
			}
			write(t, dir, "trivy.db", content)
		}, "trivy.db"},
		{"nothing in it", func(t *testing.T, dir string) {
			remove(t, dir, "trivy.db")
			d, err := bolt.Open(filepath.Join(dir, "trivy.db"), 0o600, nil)
			if err := errors.Join(err, d.Close()); err != nil {
				t.Fatal(err)
			}
		}, "no bucket"},
		{"an old schema", func(t *testing.T, dir string) { trivytest.WriteMetadata(t, dir, 1, databaseTime.Add(time.Hour)) }, "version 1"},
		{"a new schema", func(t *testing.T, dir string) { trivytest.WriteMetadata(t, dir, 3, databaseTime.Add(time.Hour)) }, "version 3"},
		{"an older one", func(t *testing.T, dir string) {
			trivytest.WriteMetadata(t, dir, trivydb.SchemaVersion, databaseTime.Add(-time.Hour))
		}, "older than the present one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := trivytest.Database(t, databaseTime.Add(time.Hour))
			test.spoil(t, dir)
			err := scanner.Use(scan.Vulnerabilities, dir)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the answer is %v, not one with %q", err, test.want)
			}
			after, err := scanner.Match(t.Context(), inventory.CycloneDX)
			if err != nil || len(after) != len(before) {
				t.Errorf("after that there are %d findings of %d, and %v", len(after), len(before), err)
			}
		})
	}
}

func TestUseKeepsTheJavaIndex(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"no metadata", func(t *testing.T, dir string) { remove(t, dir, "metadata.json") }, "metadata.json cannot be read"},
		{"no index", func(t *testing.T, dir string) { remove(t, dir, "trivy-java.db") }, "no such file"},
		{"something else", func(t *testing.T, dir string) { write(t, dir, "trivy-java.db", []byte(strings.Repeat("<html>", 1000))) }, "not a database"},
		{"an empty file", func(t *testing.T, dir string) { write(t, dir, "trivy-java.db", nil) }, "no such table"},
		{"another schema", func(t *testing.T, dir string) { trivytest.WriteMetadata(t, dir, 2, databaseTime) }, "version 2"},
		{"an older one", func(t *testing.T, dir string) { trivytest.WriteMetadata(t, dir, 1, databaseTime.Add(-time.Hour)) }, "older than the present one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := trivytest.JavaIndex(t, databaseTime.Add(time.Hour))
			test.spoil(t, dir)
			if err := scanner.Use(scan.Java, dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the answer is %v, not one with %q", err, test.want)
			}
			jar := files("github.com/aquasecurity/trivy", map[string]string{"test.jar": "pkg/fanal/analyzer/language/java/jar/testdata/test.jar"})(t)
			if inventory, err := scanner.Inventory(t.Context(), newTestImage(t, gzipLayer(t, jar...)).Image, newMemory()); err != nil || inventory.Packages == 0 {
				t.Errorf("after that there are %d packages, and %v", inventory.Packages, err)
			}
		})
	}
}

// TestArtifact unpacks the artifacts that other tests import, and uses what is in them.
func TestArtifact(t *testing.T) {
	for kind, dir := range map[scan.DatabaseKind]string{
		scan.Vulnerabilities: trivytest.Database(t, databaseTime),
		scan.Java:            trivytest.JavaIndex(t, databaseTime),
	} {
		artifact := trivytest.Pack(t, kind, dir)
		var manifest ocispec.Manifest
		if err := json.Unmarshal(artifact.Manifest, &manifest); err != nil {
			t.Fatal(err)
		}
		if manifest.Config.Digest != digest.FromBytes(artifact.Config) || manifest.Layers[0].Digest != digest.FromBytes(artifact.Layer) {
			t.Errorf("%s: the manifest is about something else: %s", kind, artifact.Manifest)
		}
		unpacked := t.TempDir()
		z, err := gzip.NewReader(bytes.NewReader(artifact.Layer))
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			write(t, unpacked, h.Name, content)
		}
		if err := scanner.Use(kind, unpacked); err != nil {
			t.Error(err)
		}
	}
}

// TestUseWhileMatching changes the database again and again while it is used.
func TestUseWhileMatching(t *testing.T) {
	with, without := trivytest.Database(t, databaseTime), trivytest.Database(t, databaseTime)
	use(t, with, trivytest.JavaIndex(t, databaseTime))
	inventory, findings := scanned(t, newTestImage(t, gzipLayer(t, npm...)), newMemory())

	var matching sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		matching.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := scanner.Match(t.Context(), inventory.CycloneDX); err != nil || len(got) != len(findings) {
					t.Errorf("%d findings of %d, and %v", len(got), len(findings), err)
					return
				}
			}
		})
	}
	for n := range 40 {
		if err := scanner.Use(scan.Vulnerabilities, []string{without, with}[n%2]); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	matching.Wait()
}

func TestNoKindOfDatabase(t *testing.T) {
	if err := scanner.Use("checks", t.TempDir()); err == nil {
		t.Error("checks are no database")
	}
}

func TestMatchNeedsADatabase(t *testing.T) {
	scanner.matching.Lock()
	before := scanner.present
	scanner.present = database{}
	scanner.matching.Unlock()
	defer func() {
		scanner.matching.Lock()
		scanner.present = before
		scanner.matching.Unlock()
	}()
	if _, err := scanner.Match(t.Context(), json.RawMessage(`{}`)); !errors.Is(err, scan.ErrNoDatabase) {
		t.Errorf("the answer is %v", err)
	}
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
