package vex_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/scan"
	"berth/scan/vex"
)

const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func covers(algorithm, h string) bool { return algorithm == "sha256" && h == hex }

const openVEX = `{
  "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex-1", "author": "Ann", "role": "x",
  "timestamp": "2026-01-01T00:00:00Z", "version": 1,
  "statements": [
    {"vulnerability": {"@id": "https://nvd.nist.gov/vuln/detail/CVE-2024-1", "name": "CVE-2024-1", "aliases": ["GHSA-1"]},
     "timestamp": "2026-01-02T00:00:00Z",
     "products": [{"@id": "pkg:oci/app", "identifiers": {"purl": "pkg:oci/app2"}, "hashes": {"sha-256": "AB"},
       "subcomponents": [{"@id": "pkg:deb/debian/openssl"}]}],
     "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path", "impact_statement": "never called\n"},
    {"vulnerability": {"name": "CVE-2024-2"}, "status": "fixed"}
  ]}`

const oldOpenVEX = `{
  "@context": "https://openvex.dev/ns", "author": "Ann", "timestamp": "2026-01-01T00:00:00Z",
  "statements": [{"vulnerability": "CVE-2024-1", "products": ["pkg:oci/app"], "subcomponents": ["pkg:npm/a"], "status": "affected"}]}`

const cycloneDX = `{
  "bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": "urn:uuid:1", "metadata": {"timestamp": "2026-01-01T00:00:00Z",
    "authors": [{"name": "Ann"}, {"name": "Ben"}], "component": {"bom-ref": "root", "type": "container", "version": "sha256:aa"}},
  "components": [{"bom-ref": "one", "purl": "pkg:deb/debian/openssl"}],
  "vulnerabilities": [
    {"id": "CVE-2024-1", "references": [{"id": "GHSA-1"}], "analysis": {"state": "false_positive", "justification": "code_not_present", "detail": "no"},
     "affects": [{"ref": "one"}, {"ref": "urn:cdx:1/1#pkg%3Anpm%2Fa"}]},
    {"id": "CVE-2024-2", "analysis": {"state": "exploitable", "lastUpdated": "2026-01-02T00:00:00Z"}, "affects": [{"ref": "root"}]},
    {"id": "CVE-2024-3", "affects": [{"ref": "root"}]},
    {"id": "CVE-2024-4", "analysis": {"state": "not_affected"}, "affects": [{"ref": "one", "versions": [{"range": "vers:deb/<3"}]}]}
  ]}`

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     scan.VEXDocument
	}{
		{"OpenVEX", openVEX, scan.VEXDocument{
			Format: "OpenVEX", ID: "https://example.com/vex-1", Author: "Ann", IssuedAt: day(1),
			Statements: []scan.VEXStatement{
				{
					Vulnerabilities: []string{"CVE-2024-1", "CVE-2024-1", "GHSA-1"}, Status: scan.VEXNotAffected,
					Reason: "vulnerable code not in execute path; never called", At: day(2),
					Products: []scan.VEXProduct{{
						Names: []string{"pkg:oci/app", "pkg:oci/app2", "sha256:ab"}, Subcomponents: []string{"pkg:deb/debian/openssl"},
					}},
				},
				{Vulnerabilities: []string{"CVE-2024-2"}, Status: scan.VEXFixed, At: day(1)},
			},
		}},
		{"OpenVEX of old", oldOpenVEX, scan.VEXDocument{
			Format: "OpenVEX", Author: "Ann", IssuedAt: day(1),
			Statements: []scan.VEXStatement{{
				Vulnerabilities: []string{"CVE-2024-1"}, Status: scan.VEXAffected, At: day(1),
				Products: []scan.VEXProduct{{Names: []string{"pkg:oci/app"}, Subcomponents: []string{"pkg:npm/a"}}},
			}},
		}},
		{"CycloneDX", cycloneDX, scan.VEXDocument{
			Format: "CycloneDX", ID: "urn:uuid:1", Author: "Ann, Ben", IssuedAt: day(1),
			Statements: []scan.VEXStatement{
				{
					Vulnerabilities: []string{"CVE-2024-1", "GHSA-1"}, Status: scan.VEXNotAffected, Reason: "code not present; no", At: day(1),
					Products: []scan.VEXProduct{{Names: []string{"pkg:deb/debian/openssl", "one"}}, {Names: []string{"pkg:npm/a"}}},
				},
				{
					Vulnerabilities: []string{"CVE-2024-2"}, Status: scan.VEXAffected, At: day(2),
					Products: []scan.VEXProduct{{Names: []string{"sha256:aa", "root"}}},
				},
				{Vulnerabilities: []string{"CVE-2024-4"}, Status: scan.VEXNotAffected, At: day(1)}, // about a range, and so about nothing
			},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := vex.Parse([]byte(test.in), covers)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// attestation is an in-toto statement about the image of a digest.
func attestation(predicateType, predicate, about string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":%q,"subject":[{"name":"x","digest":{"sha256":%q}}],"predicate":%s}`,
		predicateType, about, predicate)
}

func envelope(payload string) string {
	return fmt.Sprintf(`{"payloadType":"application/vnd.in-toto+json","payload":%q,"signatures":[{"sig":"x"}]}`, base64.StdEncoding.EncodeToString([]byte(payload)))
}

func bundle(envelope string) string {
	return `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},"dsseEnvelope":` + envelope + `}`
}

func TestParseAttestation(t *testing.T) {
	good := attestation("https://openvex.dev/ns/v0.2.0", openVEX, hex)
	for name, in := range map[string]string{"a statement": good, "an envelope": envelope(good), "a bundle": bundle(envelope(good))} {
		doc, err := vex.Parse([]byte(in), covers)
		if err != nil || len(doc.Statements) != 2 {
			t.Fatalf("%s: %+v, %v", name, doc, err)
		}
		if doc.Statements[0].Image || !doc.Statements[1].Image {
			t.Errorf("%s: what names no product is about the image, and only that: %+v", name, doc.Statements)
		}
	}
	if doc, err := vex.Parse([]byte(envelope(attestation("https://cyclonedx.org/bom", cycloneDX, hex))), covers); err != nil || doc.Format != "CycloneDX" {
		t.Errorf("CycloneDX in an envelope: %+v, %v", doc, err)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := attestation("https://openvex.dev/ns", openVEX, hex)
	for range 4 {
		deep = bundle(deep)
	}
	many := `{"@context":"https://openvex.dev/ns","statements":[` + strings.Repeat(`{},`, 20_000) + `{}]}`
	names := make([]string, 200_001)
	for i := range names {
		names[i] = fmt.Sprint("pkg:npm/", i)
	}
	products, _ := json.Marshal(names)
	for _, test := range []struct {
		name, in, want string // no VEX if want is empty
	}{
		{"nothing", "", ""},
		{"a list", "[]", ""},
		{"an object", "{}", ""},
		{"text", "hello", ""},
		{"a bill of materials", `{"bomFormat":"CycloneDX","components":[{"bom-ref":"a"}]}`, ""},
		{"what was only found", `{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"CVE-1"}]}`, ""},
		{"another attestation", envelope(attestation("https://slsa.dev/provenance/v1", "{}", hex)), ""},
		{"a signature", `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{}}`, ""},
		{"another payload", `{"payloadType":"text/plain","payload":"aGk="}`, ""},
		{"what is wrapped too often", deep, ""},
		{"broken JSON", `{"@context": `, "JSON"},
		{"no base64", `{"payloadType":"application/vnd.in-toto+json","payload":"%"}`, "base64"},
		{"about another image", envelope(attestation("https://openvex.dev/ns", openVEX, strings.Repeat("0", 64))), "none of its subjects"},
		{"a status that is none", `{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","status":"fine"}]}`, `statement 1 has the status "fine"`},
		{"no vulnerability", `{"@context":"https://openvex.dev/ns","statements":[{"status":"fixed"}]}`, "does not say which vulnerability"},
		{"a state that is none", `{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"CVE-1","analysis":{"state":"fine"}}]}`, `the state "fine"`},
		{"too many statements", many, "at most 20000"},
		{"too many names", `{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","status":"fixed","products":` + string(products) + `}]}`, "more than 200000"},
		{"too much", strings.Repeat(" ", scan.MaxVEX+1), "at most 8388608"},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc, err := vex.Parse([]byte(test.in), covers)
			if test.want == "" && !errors.Is(err, vex.ErrNoVEX) {
				t.Errorf("%+v, %v; want ErrNoVEX", doc, err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v; want %q in it", err, test.want)
			}
			if err != nil && doc.Statements != nil {
				t.Errorf("there are %d statements beside the error", len(doc.Statements))
			}
		})
	}
}

// check looks at what must hold of a document whatever it was made of.
func check(t *testing.T, b []byte) {
	doc, err := vex.Parse(b, covers)
	if err != nil {
		if doc.Statements != nil {
			t.Errorf("statements beside the error %v", err)
		}
		return
	}
	text := doc.ID + doc.Author
	for _, s := range doc.Statements {
		if len(s.Vulnerabilities) == 0 {
			t.Error("a statement about no vulnerability")
		}
		text += s.Reason + strings.Join(s.Vulnerabilities, "")
		for _, p := range s.Products {
			if len(p.Names) == 0 {
				t.Error("a product without a name")
			}
			text += strings.Join(p.Names, "") + strings.Join(p.Subcomponents, "")
		}
	}
	if strings.ContainsAny(text, "\x00\x1b\n\u009b\u202e") || strings.ToValidUTF8(text, "") != text {
		t.Errorf("control characters in %q", text)
	}
	// It is kept as JSON, and applied.
	kept, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(kept, &doc)
	}
	if err != nil {
		t.Error(err)
	}
	x := scan.Exclusions{Repository: "a/b", Digest: "sha256:" + hex, Documents: []scan.VEXDocument{doc}}
	f := scan.Finding{ID: "CVE-2024-1", Package: scan.Package{PURL: "pkg:deb/debian/openssl@1"}}
	if left, out, _ := x.Apply([]scan.Finding{f}, day(1)); len(left)+len(out) != 1 {
		t.Errorf("%d are left and %d are out of 1", len(left), len(out))
	}
}

func FuzzOpenVEX(f *testing.F) {
	for _, s := range []string{openVEX, oldOpenVEX, envelope(attestation("https://openvex.dev/ns", openVEX, hex)), `{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":null,"products":[null]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(check)
}

func FuzzCycloneDXVEX(f *testing.F) {
	for _, s := range []string{cycloneDX, envelope(attestation("https://cyclonedx.org/vex", cycloneDX, hex)), `{"bomFormat":"CycloneDX","metadata":null,"vulnerabilities":[null]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(check)
}

// TestHostileSizes reads documents that are small for what they would take.
func TestHostileSizes(t *testing.T) {
	const openVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[`
	fill := func(s string, most int) string {
		return strings.TrimSuffix(strings.Repeat(s+",", most/(len(s)+1)), ",")
	}
	for what, doc := range map[string]string{
		"empty statements":          openVEX + fill(`{}`, scan.MaxVEX-100) + `]}`,
		"products and things in it": openVEX + `{"vulnerability":"CVE-1","status":"fixed","products":[` + fill(`"a"`, 600_000) + `],"subcomponents":[` + fill(`{}`, 450_000) + `]}]}`,
		"fewer empty statements":    openVEX + fill(`{}`, 700_000) + `]}`,
		"empty vulnerabilities":     `{"bomFormat":"CycloneDX","vulnerabilities":[` + fill(`{}`, scan.MaxVEX-100) + `]}`,
		"empty components":          `{"bomFormat":"CycloneDX","components":[` + fill(`{}`, scan.MaxVEX-100) + `]}`,
		"long names, often": `{"bomFormat":"CycloneDX","components":[` + fill(`{"bom-ref":"x","purl":"`+strings.Repeat("p", 4100)+`"}`, 4<<20) +
			`],"vulnerabilities":[{"id":"CVE-1","analysis":{"state":"resolved"},"affects":[` + fill(`{"ref":"x"}`, 2_400_000) + `]}]}`,
	} {
		t.Run(what, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, err := vex.Parse([]byte(doc), func(string, string) bool { return true })
			runtime.ReadMemStats(&after)
			if took := time.Since(began); err == nil || took > 5*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 300 {
				t.Errorf("it takes %d MiB", took)
			}
		})
	}
}
