//go:build goexperiment.jsonv2

package trivy

import (
	"archive/tar"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aquasecurity/trivy/pkg/commands"
	"github.com/aquasecurity/trivy/pkg/types"
	gocmp "github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/viper"

	"berth/scan"
	"berth/scan/trivy/trivytest"
)

var databaseTime = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

// row is what is compared of a finding.
type row struct {
	ID, Package, Installed, Fixed, Severity, Source, Status string
	Type, Target, Path, PURL, Layer                         string
	Title, Description, URL                                 string
	Aliases, References, CWEs, CVSS                         string
	Published, Modified                                     time.Time
}

func sortRows(rows []row) []row {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(strings.Compare(a.Target, b.Target), strings.Compare(a.Path, b.Path), strings.Compare(a.Package, b.Package),
			strings.Compare(a.Installed, b.Installed), strings.Compare(a.ID, b.ID))
	})
	return rows
}

// fromFindings are the rows of what we have found.
func fromFindings(findings []scan.Finding) (rows []row) {
	for _, f := range findings {
		r := row{
			ID: f.ID, Package: f.Package.Name, Installed: f.Installed, Fixed: f.Fixed,
			Severity: string(f.Severity), Source: f.Source, Status: f.Status,
			Type: f.Package.Type, Target: f.Package.Target, Path: f.Package.Path, PURL: f.Package.PURL, Layer: f.Package.Layer.String(),
			Title: f.Title, Description: f.Description, URL: f.URL,
			Aliases: strings.Join(f.Aliases, " "), References: strings.Join(f.References, " "), CWEs: strings.Join(f.CWEs, " "),
			Published: f.PublishedAt, Modified: f.ModifiedAt,
		}
		for _, c := range f.CVSS {
			r.CVSS += fmt.Sprintf("%s %.1f %s; ", c.Source, c.Score, c.Vector)
		}
		rows = append(rows, r)
	}
	return sortRows(rows)
}

// fromReport are the rows of what the trivy command has written.
func fromReport(report types.Report) (rows []row) {
	for _, r := range report.Results {
		for _, v := range r.Vulnerabilities {
			//lint:ignore SA1019 it is the severity that the command shows
			shown := v.Severity
			one := row{
				ID: v.VulnerabilityID, Package: v.PkgName, Installed: v.InstalledVersion, Fixed: v.FixedVersion,
				Severity: shown, Source: string(v.SeveritySource), Status: v.Status.String(),
				Type: string(r.Type), Target: r.Target, Path: v.PkgPath, Layer: v.Layer.Digest,
				Title: v.Title, Description: v.Description, URL: v.PrimaryURL,
				Aliases: strings.Join(v.VendorIDs, " "), References: strings.Join(v.References, " "), CWEs: strings.Join(v.CweIDs, " "),
			}
			if one.Severity == "UNKNOWN" {
				one.Severity = "UNDEFINED"
			}
			if r.Class == types.ClassOSPkg {
				one.Target = strings.TrimSuffix(strings.TrimPrefix(r.Target, report.ArtifactName+" ("), ")")
			}
			if p := v.PkgIdentifier.PURL; p != nil {
				one.PURL = p.String()
			}
			for _, source := range slices.Sorted(maps.Keys(v.CVSS)) {
				c := v.CVSS[source]
				for _, s := range []struct {
					score  float64
					vector string
				}{{c.V2Score, c.V2Vector}, {c.V3Score, c.V3Vector}, {c.V40Score, c.V40Vector}} {
					if s.score != 0 || s.vector != "" {
						one.CVSS += fmt.Sprintf("%s %.1f %s; ", source, s.score, s.vector)
					}
				}
			}
			if v.PublishedDate != nil {
				one.Published = v.PublishedDate.UTC()
			}
			if v.LastModifiedDate != nil {
				one.Modified = v.LastModifiedDate.UTC()
			}
			rows = append(rows, one)
		}
	}
	return sortRows(rows)
}

// systemOf is the system that the trivy command has found, if it is one.
func systemOf(report types.Report) string {
	if os := report.Metadata.OS; os != nil && os.Family != "none" {
		return string(os.Family) + " " + os.Name
	}
	return ""
}

// command runs `trivy image` on an image, with these databases, and has the scanner use them
// again after that: they are open once in a process.
func command(t *testing.T, i *testImage, db, java string) types.Report {
	t.Helper()
	cache := t.TempDir()
	for link, dir := range map[string]string{"db": db, "java-db": java} {
		if err := os.Symlink(dir, filepath.Join(cache, link)); err != nil {
			t.Fatal(err)
		}
	}
	output := filepath.Join(t.TempDir(), "report.json")
	defer viper.Reset() // has flags of one command in the next
	app := commands.NewApp()
	app.SetArgs([]string{
		"image", "--input", i.layout(t), "--cache-dir", cache, "--output", output, "--format", "json", "--scanners", "vuln",
		"--skip-db-update", "--skip-java-db-update", "--skip-version-check", "--offline-scan", "--quiet", "--disable-telemetry",
	})
	if err := app.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("trivy image: %v", err)
	}
	content, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	var report types.Report
	if err := json.Unmarshal(content, &report); err != nil {
		t.Fatal(err)
	}
	use(t, db, java)
	return report
}

func use(t testing.TB, db, java string) {
	t.Helper()
	if err := scanner.Use(scan.Vulnerabilities, db); err != nil {
		t.Fatal(err)
	}
	if err := scanner.Use(scan.Java, java); err != nil {
		t.Fatal(err)
	}
}

// scanned is an image's inventory and what it matches.
func scanned(t testing.TB, i *testImage, cache scan.LayerCache) (scan.Inventory, []scan.Finding) {
	t.Helper()
	inventory, err := scanner.Inventory(t.Context(), i.Image, cache)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := scanner.Match(t.Context(), inventory.CycloneDX)
	if err != nil {
		t.Fatal(err)
	}
	return inventory, findings
}

func TestFindingsAreThoseOfTheCommand(t *testing.T) {
	db, java := trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime)
	for _, test := range ecosystems(t) {
		t.Run(test.name, func(t *testing.T) {
			files := test.files(t)
			variants := map[string]*testImage{
				"one layer":   newTestImage(t, gzipLayer(t, files...)),
				"many layers": newTestImage(t, inLayers(t, files)...),
			}
			for name, i := range variants {
				t.Run(name, func(t *testing.T) {
					report := command(t, i, db, java)
					want := fromReport(report)
					inventory, findings := scanned(t, i, newMemory())
					if diff := gocmp.Diff(want, fromFindings(findings)); diff != "" {
						t.Errorf("findings (-trivy image +ours):\n%s", diff)
					}
					var ids []string
					for _, f := range findings {
						ids = append(ids, f.Package.Name+" "+f.ID)
					}
					for _, want := range test.finds {
						if !slices.Contains(ids, want) {
							t.Errorf("%s was not found, only %q", want, ids)
						}
					}
					if os := systemOf(report); inventory.OS != os {
						t.Errorf("the system is %q, not %q", inventory.OS, os)
					}
					noTemporaryFiles(t)
				})
			}
		})
	}
}

// inLayers spreads files over layers, with what whiteouts are to hide: a copy of everything
// under /removed, which a later layer removes as a whole; then each file as something empty,
// overwritten later; and one layer for each file.
func inLayers(t *testing.T, files []file) (layers []blob) {
	t.Helper()
	var copies []file
	for _, f := range files {
		f.name = "removed/" + f.name
		copies = append(copies, f)
	}
	layers = append(layers, gzipLayer(t, copies...))
	layers = append(layers, gzipLayer(t, file{name: "opaque/app/package.json", content: `{"name":"lodash","version":"4.17.4"}`}))
	for n, f := range files {
		l := gzipLayer(t, f)
		switch n % 3 {
		case 1:
			content := archive(t, f)
			l = blob{ocispec.MediaTypeImageLayerZstd, zstandard(t, content), l.diffID}
		case 2:
			l = blob{ocispec.MediaTypeImageLayerGzip, archive(t, f), l.diffID} // a media type that lies
		}
		layers = append(layers, l)
		if n == 20 { // enough layers
			layers = append(layers, gzipLayer(t, files[n+1:]...))
			break
		}
	}
	return append(layers,
		gzipLayer(t, file{name: ".wh.removed"}),
		gzipLayer(t, file{name: "opaque/.wh..wh..opq"}, file{name: "dev/null", header: tar.Header{Typeflag: tar.TypeChar}}))
}
