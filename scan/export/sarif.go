package export

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"berth/scan"
)

// Log is a SARIF log: what static analysis has found, for GitHub, GitLab and editors. Each
// image is a run of its own, with a category of its own.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
type Log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool       tool              `json:"tool"`
	Automation automation        `json:"automationDetails"`
	ColumnKind string            `json:"columnKind"`
	Results    []result          `json:"results"`
	Properties map[string]string `json:"properties"`
}

type tool struct {
	Driver     component   `json:"driver"`
	Extensions []component `json:"extensions,omitempty"`
}

type component struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Rules   []rule `json:"rules,omitzero"`
}

type automation struct {
	ID string `json:"id"`
}

type text struct {
	Text string `json:"text"`
}

// rule is a vulnerability.
type rule struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Short    text           `json:"shortDescription"`
	Full     text           `json:"fullDescription"`
	Help     text           `json:"help"`
	HelpURI  string         `json:"helpUri,omitempty"`
	Defaults configuration  `json:"defaultConfiguration"`
	Of       ruleProperties `json:"properties"`
}

type configuration struct {
	Level string `json:"level"`
}

type ruleProperties struct {
	Tags      []string `json:"tags"`
	Precision string   `json:"precision"`
	Severity  string   `json:"security-severity"` // a CVSS score, by which GitHub and GitLab know how bad it is
}

// result is a finding.
type result struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      text              `json:"message"`
	Locations    []location        `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Suppressions []suppression     `json:"suppressions,omitempty"`
}

type location struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
	Message text `json:"message"`
}

type suppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

// SARIF is the log of some images. version is that of this program. Findings that were taken out
// are results that are suppressed.
func SARIF(images []Image, version string) Log {
	l := Log{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []run{}}
	for _, i := range images {
		l.Runs = append(l.Runs, newRun(i, version))
	}
	return l
}

func newRun(i Image, version string) run {
	r := run{
		Tool: tool{Driver: component{Name: "berth", Version: version, Rules: []rule{}}},
		// What stands before the last slash is GitHub's category, within which it compares runs.
		Automation: automation{"berth/" + i.Name + "/" + i.Digest.String()},
		ColumnKind: "utf16CodeUnits",
		Results:    []result{},
		Properties: map[string]string{"repository": string(i.Repository), "digest": i.Digest.String(), "status": string(i.Status)},
	}
	if name, version, _ := strings.Cut(i.Scanner, " "); name != "" {
		r.Tool.Extensions = []component{{Name: name, Version: version}}
	}
	rules := map[string]int{}
	add := func(f scan.Finding, suppressed ...suppression) {
		index, known := rules[f.ID]
		if !known {
			index = len(rules)
			rules[f.ID] = index
			r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, newRule(f))
		}
		x := newResult(i, f)
		x.RuleIndex, x.Suppressions = index, suppressed
		r.Results = append(r.Results, x)
	}
	for _, f := range i.Findings { // the worst of a vulnerability first, so that its rule is as bad
		add(f)
	}
	for _, x := range i.Excepted {
		add(x.Finding, suppression{"external", "accepted", x.Reason + " (" + x.By + ")"})
	}
	return r
}

// maxDescription is what GitHub takes of a description, in characters.
const maxDescription = 1024

func newRule(f scan.Finding) rule {
	r := rule{
		ID: f.ID, Name: "LanguageSpecificPackageVulnerability", Short: text{clip(cmp.Or(f.Title, f.ID), maxDescription)},
		Full: text{clip(cmp.Or(f.Description, f.Title, f.ID), maxDescription)}, HelpURI: webPage(f.URL), Defaults: configuration{level(f.Severity)},
		Of: ruleProperties{Tags: []string{"vulnerability", "security", string(f.Severity)}, Precision: "very-high", Severity: securitySeverity(f)},
	}
	if f.Package.OS {
		r.Name = "OsPackageVulnerability"
	}
	lines := []string{"Vulnerability " + f.ID, "Severity: " + string(f.Severity)}
	if r.HelpURI != "" {
		lines = append(lines, "See "+r.HelpURI)
	}
	r.Help = text{strings.Join(append(lines, cmp.Or(f.Description, f.Title, "Nothing more is known of it.")), "\n")}
	return r
}

func newResult(i Image, f scan.Finding) result {
	r := result{RuleID: f.ID, Level: level(f.Severity)}
	fix := "there is no version without it"
	if f.Fixable() {
		fix = "fixed in " + f.Fixed
	}
	r.Message = text{literal(f.Package.Name + " " + f.Installed + " in " + i.Name + " has " + f.ID + " (" + string(f.Severity) + "); " + fix)}
	path := cmp.Or(f.Package.Path, f.Package.Target)
	if f.Package.OS || path == "" {
		path = string(i.Repository)
	}
	var l location
	l.Physical.Artifact.URI = relative(path)
	l.Physical.Region.StartLine = 1
	l.Message = text{literal(path + ": " + f.Package.Name + "@" + f.Installed)}
	r.Locations = []location{l}
	r.Fingerprints = map[string]string{"primaryLocationLineHash": fingerprint(i, f)} // the only one that GitHub reads
	return r
}

// fingerprint stays the same as long as a finding is the same for people. There is one version of
// a package of the operating system, so that a newer one that is vulnerable too is no news.
func fingerprint(i Image, f scan.Finding) string {
	parts := []string{string(i.Repository), f.ID, f.Package.Type, f.Package.Name}
	if !f.Package.OS {
		parts = append(parts, f.Installed, f.Package.Target, f.Package.Path)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

func level(s scan.Severity) string {
	switch {
	case s.AtLeast(scan.High):
		return "error"
	case s == scan.Medium:
		return "warning"
	}
	return "note"
}

// securitySeverity is the score of a finding where it says the same as the severity, which may
// be that of a vendor, else one that does. GitHub has critical from 9, high from 7, medium from 4.
func securitySeverity(f scan.Finding) string {
	bands := map[scan.Severity]struct{ least, below, usual float64 }{
		scan.Critical: {9, 10.1, 9.5}, scan.High: {7, 9, 8}, scan.Medium: {4, 7, 5.5}, scan.Low: {0.1, 4, 2},
	}
	band := bands[f.Severity] // zero: there is no word for it
	score := band.usual
	if c, ok := f.Score(); ok && band.least <= c.Score && c.Score < band.below {
		score = c.Score
	}
	return strconv.FormatFloat(score, 'f', 1, 64)
}

// literal has a message contain no links, whatever names it is made of: [text](target) is one.
func literal(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(s)
}

// relative is a path in an image as a URI that is relative to the root.
func relative(path string) string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." && name != ".." {
			names = append(names, url.PathEscape(name))
		}
	}
	uri := strings.Join(names, "/")
	if first, _, _ := strings.Cut(uri, "/"); strings.Contains(first, ":") {
		uri = "./" + uri // else it would be a scheme
	}
	return uri
}

// webPage is a URL if it is one that people can follow, else empty.
func webPage(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.String()
}

// clip cuts a text after some characters.
func clip(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
