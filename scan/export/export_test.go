package export_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/scan"
	"berth/scan/export"
)

var update = flag.Bool("update", false, "write what is wanted anew")

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// inventory has a package of the operating system, and one of npm at two places.
const inventory = `{
	"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
	"serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "version": 1,
	"metadata": {"component": {"bom-ref": "image", "type": "container", "name": "team/app"}},
	"components": [
		{"bom-ref": "os", "type": "operating-system", "name": "debian", "version": "12.5"},
		{"bom-ref": "pkg:deb/debian/libc6@2.36-9?arch=amd64", "type": "library", "name": "libc6", "version": "2.36-9", "purl": "pkg:deb/debian/libc6@2.36-9?arch=amd64"},
		{"bom-ref": "app", "type": "application", "name": "app", "components": [
			{"bom-ref": "left-1", "type": "library", "name": "left-pad", "version": "1.0.0", "purl": "pkg:npm/left-pad@1.0.0",
				"properties": [{"name": "aquasecurity:trivy:FilePath", "value": "a/package.json"}]},
			{"bom-ref": "left-2", "type": "library", "name": "left-pad", "version": "1.0.0", "purl": "pkg:npm/left-pad@1.0.0",
				"properties": [{"name": "aquasecurity:trivy:FilePath", "value": "b/package.json"}]}]},
		{"bom-ref": "no-purl", "type": "library", "name": "vendored", "version": "7"}
	],
	"dependencies": [{"ref": "image", "dependsOn": ["os"]}]
}`

func image() export.Image {
	libc := scan.Finding{
		ID: "CVE-2026-0001", Aliases: []string{"DSA-1"}, Severity: scan.High, Source: "debian", Installed: "2.36-9", Fixed: "2.36-10",
		Package: scan.Package{Name: "libc6", Type: "debian", Target: "debian 12.5", PURL: "pkg:deb/debian/libc6@2.36-9?arch=amd64", OS: true},
		Title:   "overflow", Description: "An overflow [of](something) in {0}.", URL: "https://example.com/CVE-2026-0001",
		References:  []string{"https://example.com/1", "not a page", "https://example.com/1"},
		CWEs:        []string{"CWE-121", "CWE-noinfo"},
		CVSS:        []scan.CVSS{{Source: "nvd", Version: "3.1", Score: 9.8, Vector: "CVSS:3.1/AV:N"}, {Source: "nvd", Version: "2.0", Score: 7.5, Vector: "AV:N"}},
		PublishedAt: at.Add(-time.Hour), ModifiedAt: at.Add(-time.Minute), FirstFoundAt: at.Add(-time.Second),
	}
	left := func(path string) scan.Finding {
		return scan.Finding{
			ID: "CVE-2026-0002", Severity: scan.Medium, Source: "ghsa", Installed: "1.0.0", Fixed: "1.3.0",
			Package: scan.Package{Name: "left-pad", Type: "npm", Target: "Node.js", Path: path, PURL: "pkg:npm/left-pad@1.0.0"},
			CVSS:    []scan.CVSS{{Source: "ghsa", Version: "3.0", Score: 5.3, Vector: "CVSS:3.0/AV:N"}, {Source: "ghsa", Version: "4.0", Score: 6.1, Vector: "CVSS:4.0/AV:N"}},
		}
	}
	hostile := scan.Finding{
		ID: "CVE-2026-0003", Severity: scan.Undefined, Installed: "7", URL: "javascript:alert(1)",
		Package: scan.Package{Name: "[click](https://evil.example)\x1b[31m<b>", Type: "npm", Target: "../../c:/a b/%2e%2e/\u202ex.json"},
	}
	vendored := scan.Finding{ID: "CVE-2026-0004", Severity: scan.Low, Installed: "7", Package: scan.Package{Name: "vendored", Type: "cargo", Target: "Cargo.lock"}}
	findings := []scan.Finding{hostile, vendored, left("b/package.json"), left("a/package.json"), libc}
	scan.Sort(findings)
	accepted := libc
	accepted.ID = "CVE-2026-0005"
	return export.Image{Name: "team/app:v1", Report: scan.Report{
		Scan: scan.Scan{
			Repository: "team/app", Digest: digest.FromString("image"), Status: scan.Complete, RequestedAt: at, CompletedAt: at,
			Database: scan.Database{Digest: digest.FromString("database"), UpdatedAt: at.Add(-time.Hour)}, Counts: scan.Count(findings),
		},
		Scanner: "trivy 0.72.0", OS: "debian 12.5", Findings: findings,
		Excepted: []scan.Excepted{
			{Finding: accepted, Reason: "nobody can reach it", By: "exception 12", Author: "ada", Until: at.Add(time.Hour)},
			{Finding: left("a/package.json"), Reason: "the code is not present", By: digest.FromString("vex").String(), Author: "the vendor"},
		},
	}}
}

// golden compares what was written with a file in testdata.
func golden(t *testing.T, name string, v any) []byte {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("it is not %s, which -update writes anew; it is\n%s", file, got)
	}
	return got
}

func TestJSON(t *testing.T) {
	golden(t, "report.json", export.JSON(image()))
	empty, err := json.Marshal(export.JSON(export.Image{Report: scan.Report{Scan: scan.Scan{Status: scan.Pending}}}))
	if err != nil || !strings.Contains(string(empty), `"findings":[]`) || strings.Contains(string(empty), "0001-01-01") {
		t.Errorf("%v %s", err, empty)
	}
}

// TestSARIF looks for what the schema and GitHub require.
func TestSARIF(t *testing.T) {
	second := image()
	second.Name, second.Findings, second.Excepted, second.Scanner = "team/app:v2", nil, nil, ""
	text := golden(t, "report.sarif", export.SARIF([]export.Image{image(), second}, "1.2.3"))
	var log struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID, HelpURI                             string
						ShortDescription, FullDescription, Help struct{ Text string }
						DefaultConfiguration                    struct{ Level string }
						Properties                              struct {
							Tags     []string
							Severity string `json:"security-severity"`
						}
					}
				}
			}
			AutomationDetails struct{ ID string }
			Results           []struct {
				RuleID              string
				RuleIndex           *int
				Level               string
				Message             struct{ Text string }
				PartialFingerprints map[string]string
				Locations           []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
				Suppressions []struct{ Kind, Justification string }
			}
		}
	}
	if err := json.Unmarshal(text, &log); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.Schema, "sarif-2.1.0") || log.Version != "2.1.0" || len(log.Runs) != 2 {
		t.Fatalf("%s %s with %d runs", log.Schema, log.Version, len(log.Runs))
	}
	if log.Runs[1].Results == nil || log.Runs[1].Tool.Driver.Rules == nil {
		t.Error("a run without results has to say that there are none")
	}
	category := func(id string) string { return id[:strings.LastIndexByte(id, '/')] }
	if a, b := category(log.Runs[0].AutomationDetails.ID), category(log.Runs[1].AutomationDetails.ID); a == b {
		t.Errorf("two images are one category, %s", a)
	}
	r := log.Runs[0]
	ids := map[string]bool{}
	for _, rule := range r.Tool.Driver.Rules {
		if ids[rule.ID] {
			t.Errorf("two rules are %s", rule.ID)
		}
		ids[rule.ID] = true
		score, err := strconv.ParseFloat(rule.Properties.Severity, 64)
		if rule.ID == "" || rule.ShortDescription.Text == "" || rule.FullDescription.Text == "" || rule.Help.Text == "" || err != nil || score < 0 || score > 10 ||
			!slices.Contains(rule.Properties.Tags, "security") || !slices.Contains([]string{"error", "warning", "note"}, rule.DefaultConfiguration.Level) {
			t.Errorf("rule %+v", rule)
		}
		if rule.HelpURI != "" && !strings.HasPrefix(rule.HelpURI, "https://") {
			t.Errorf("help at %s", rule.HelpURI)
		}
	}
	if len(r.Results) != 7 || len(ids) != 5 {
		t.Fatalf("%d results of %d rules, want 5 findings and 2 that are excepted, of 5", len(r.Results), len(ids))
	}
	fingerprints := map[string]bool{}
	for i, result := range r.Results {
		if result.RuleIndex == nil || r.Tool.Driver.Rules[*result.RuleIndex].ID != result.RuleID || result.Message.Text == "" || len(result.Locations) != 1 {
			t.Fatalf("result %+v", result)
		}
		where := result.Locations[0].PhysicalLocation
		u, err := url.Parse(where.ArtifactLocation.URI)
		if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(u.Path, "/") || slices.Contains(strings.Split(u.Path, "/"), "..") || u.Path == "" || where.Region.StartLine != 1 {
			t.Errorf("location %q: %v", where.ArtifactLocation.URI, err)
		}
		if strings.Contains(strings.ReplaceAll(result.Message.Text, `\]`, ""), "](") {
			t.Errorf("the message has a link: %s", result.Message.Text)
		}
		if suppressed := len(result.Suppressions) == 1; suppressed != (i >= 5) || suppressed && result.Suppressions[0].Justification == "" {
			t.Errorf("result %d is suppressed by %+v", i, result.Suppressions)
		}
		if i < 5 {
			fingerprints[result.PartialFingerprints["primaryLocationLineHash"]] = true
		}
	}
	if len(fingerprints) != 5 || fingerprints[""] {
		t.Errorf("fingerprints %v, want 5", fingerprints)
	}
}

// TestFingerprints: a finding is the same when the image is built anew and there is still no
// version without it.
func TestFingerprints(t *testing.T) {
	of := func(change func(*scan.Finding)) string {
		i := image()
		f := i.Findings[slices.IndexFunc(i.Findings, func(f scan.Finding) bool { return f.Package.OS })]
		change(&f)
		i.Findings, i.Excepted, i.Digest = []scan.Finding{f}, nil, digest.FromString(f.Installed)
		b, err := json.Marshal(export.SARIF([]export.Image{i}, ""))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), `"primaryLocationLineHash":"`)
		hash, _, _ := strings.Cut(rest, `"`)
		return hash
	}
	first := of(func(*scan.Finding) {})
	if again := of(func(f *scan.Finding) { f.Installed, f.Package.Target = "2.36-9+deb12u1", "debian 12.6" }); again != first {
		t.Error("a newer version of a package of the operating system that is vulnerable too is another finding")
	}
	for name, change := range map[string]func(*scan.Finding){
		"vulnerability": func(f *scan.Finding) { f.ID = "CVE-2026-9999" },
		"package":       func(f *scan.Finding) { f.Package.Name = "libc6-dev" },
		"library":       func(f *scan.Finding) { f.Package.OS = false },
	} {
		if of(change) == first {
			t.Errorf("another %s is the same finding", name)
		}
	}
}

// TestSecuritySeverity: the number by which GitHub tells severities apart says what the severity says.
func TestSecuritySeverity(t *testing.T) {
	for _, test := range []struct {
		severity scan.Severity
		score    float64 // 0 is none
		want     string
	}{
		{scan.Critical, 10, "10.0"},
		{scan.Critical, 7.5, "9.5"},
		{scan.High, 9.8, "8.0"},
		{scan.High, 8.9, "8.9"},
		{scan.Medium, 4, "4.0"},
		{scan.Medium, 0, "5.5"},
		{scan.Low, 3.9, "3.9"},
		{scan.Low, 9, "2.0"},
		{scan.Informational, 5, "0.0"},
		{scan.Undefined, 0, "0.0"},
	} {
		f := scan.Finding{ID: "CVE-1", Severity: test.severity}
		if test.score != 0 {
			f.CVSS = []scan.CVSS{{Source: "nvd", Version: "3.1", Score: test.score}}
		}
		b, err := json.Marshal(export.SARIF([]export.Image{{Report: scan.Report{Findings: []scan.Finding{f}}}}, ""))
		if err != nil || !strings.Contains(string(b), `"security-severity":"`+test.want+`"`) {
			t.Errorf("%s with %v: want %s in %s (%v)", test.severity, test.score, test.want, b, err)
		}
	}
}

func TestCycloneDX(t *testing.T) {
	got, err := export.CycloneDX(json.RawMessage(inventory), image())
	if err != nil {
		t.Fatal(err)
	}
	text := golden(t, "report.cdx.json", got)
	var bom struct {
		SerialNumber    string
		Components      []json.RawMessage
		Dependencies    []json.RawMessage
		Vulnerabilities []struct {
			ID       string
			Ratings  []struct{ Severity, Method string }
			Analysis *struct{ State, Detail string }
			Affects  []struct {
				Ref      string
				Versions []struct{ Version, Status string }
			}
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.SerialNumber != "" || len(bom.Components) != 4 || len(bom.Dependencies) != 1 {
		t.Errorf("serial number %q, %d components, %d dependencies", bom.SerialNumber, len(bom.Components), len(bom.Dependencies))
	}
	affects := map[string]string{}
	for _, v := range bom.Vulnerabilities {
		key := v.ID
		if v.Analysis != nil {
			key += " " + v.Analysis.State
		}
		for _, a := range v.Affects {
			affects[key] += a.Ref + "@" + a.Versions[0].Version + " "
		}
	}
	for key, want := range map[string]string{
		"CVE-2026-0001":              "pkg:deb/debian/libc6@2.36-9?arch=amd64@2.36-9 ",
		"CVE-2026-0002":              "left-1@1.0.0 left-2@1.0.0 ",
		"CVE-2026-0003":              "image@7 ",   // it is not in the inventory
		"CVE-2026-0004":              "no-purl@7 ", // by its name
		"CVE-2026-0005 exploitable":  "pkg:deb/debian/libc6@2.36-9?arch=amd64@2.36-9 ",
		"CVE-2026-0002 not_affected": "left-1@1.0.0 ",
	} {
		if affects[key] != want {
			t.Errorf("%s affects %q, want %q", key, affects[key], want)
		}
		delete(affects, key)
	}
	if len(affects) != 0 {
		t.Errorf("and more: %v", affects)
	}
}

func TestCycloneDXOfNothing(t *testing.T) {
	got, err := export.CycloneDX(json.RawMessage(inventory), export.Image{Name: "team/app:v1"})
	if err != nil || !strings.Contains(string(got), `"vulnerabilities":[]`) {
		t.Errorf("%v %s", err, got)
	}
	for _, bad := range []string{"", "{", "[]", `{"spdxVersion":"SPDX-2.3"}`} {
		if _, err := export.CycloneDX(json.RawMessage(bad), image()); err == nil || !strings.Contains(err.Error(), "inventory of team/app:v1") {
			t.Errorf("the inventory %q: %v", bad, err)
		}
	}
}
