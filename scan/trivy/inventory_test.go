//go:build goexperiment.jsonv2

package trivy

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"berth/scan"
	"berth/scan/trivy/trivytest"
)

func TestName(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/aquasecurity/trivy").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "trivy " + strings.TrimPrefix(strings.TrimSpace(string(out)), "v"); scanner.Name() != want {
		t.Errorf("the scanner is %q, and the module %q", scanner.Name(), want)
	}
}

// TestArchivesAreAnalysedWithoutAnIndex has no Java index; archives that say what they are
// are found, and what was kept without the index is not used with it.
func TestArchivesAreAnalysedWithoutAnIndex(t *testing.T) {
	scanner.inventory.Lock()
	if err := scanner.withoutJava(); err != nil {
		t.Fatal(err)
	}
	scanner.inventory.Unlock()
	const jars = "pkg/fanal/analyzer/language/java/jar/testdata/"
	i := newTestImage(t, gzipLayer(t, files("github.com/aquasecurity/trivy", map[string]string{"a/test.war": jars + "test.war", "a/test.jar": jars + "test.jar"})(t)...))
	cache := newMemory()
	inventory, err := scanner.Inventory(t.Context(), i.Image, cache)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(inventory.CycloneDX, []byte("jackson-databind")) || bytes.Contains(inventory.CycloneDX, []byte("tomcat-embed-websocket@9.0.65")) {
		t.Errorf("without an index there are %d packages: %s", inventory.Packages, inventory.CycloneDX)
	}
	if err := scanner.Use(scan.Java, trivytest.JavaIndex(t, databaseTime)); err != nil {
		t.Fatal(err)
	}
	if inventory, err = scanner.Inventory(t.Context(), i.Image, cache); err != nil || !bytes.Contains(inventory.CycloneDX, []byte("tomcat-embed-websocket@9.0.65")) {
		t.Errorf("with an index there are %d packages, and %v", inventory.Packages, err)
	}
}

func TestNothingFound(t *testing.T) {
	for name, i := range map[string]*testImage{
		"no layers":      newTestImage(t),
		"an empty layer": newTestImage(t, gzipLayer(t)),
		"some file":      newTestImage(t, gzipLayer(t, file{name: "hello", content: "world"})),
	} {
		if _, err := scanner.Inventory(t.Context(), i.Image, newMemory()); !errors.Is(err, scan.ErrNothingFound) {
			t.Errorf("%s: the answer is %v", name, err)
		}
	}
}

// TestTheDocument reads an inventory as others would.
func TestTheDocument(t *testing.T) {
	i := newTestImage(t, gzipLayer(t, append(slices.Clone(debianThirdParty), npm...)...))
	inventory, err := scanner.Inventory(t.Context(), i.Image, newMemory())
	if err != nil {
		t.Fatal(err)
	}
	bom := cdx.NewBOM()
	if err := cdx.NewBOMDecoder(bytes.NewReader(inventory.CycloneDX), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	if bom.Metadata.Component.Name != i.Digest.String() {
		t.Errorf("the document is about %q", bom.Metadata.Component.Name)
	}
	if bytes.Contains(inventory.CycloneDX, []byte("team/app")) {
		t.Error("the document of a digest speaks of a repository")
	}
	libraries := 0
	var kept []string
	for _, c := range *bom.Components {
		if c.Type == cdx.ComponentTypeLibrary {
			libraries++
		}
		for _, p := range *c.Properties {
			if p.Name == packageProperty {
				kept = append(kept, c.Name)
			}
		}
	}
	if libraries != inventory.Packages || libraries < 8 {
		t.Errorf("there are %d packages in the document, and it is said that there are %d", libraries, inventory.Packages)
	}
	if len(kept) > 2 || !slices.Contains(kept, "docker-ce") {
		t.Errorf("Trivy reads all but these packages from its own document: %q", kept)
	}
}

func TestInventoriesThatAreNone(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	for _, document := range []string{``, `null`, `[]`, `"x"`, `{"bomFormat":"CycloneDX"`, `{"metadata":{"component":{"type":"container","properties":[{"name":"berth:os","value":"x"}]}}}`} {
		if findings, err := scanner.Match(t.Context(), json.RawMessage(document)); err == nil && len(findings) > 0 {
			t.Errorf("%s has the findings %v", document, findings)
		}
	}
	if _, err := scanner.Match(t.Context(), json.RawMessage(`{"bomFormat":"CycloneDX"`)); err == nil {
		t.Error("half a document has no error")
	}
}
