package scan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Finding is a vulnerability of a package of an image.
type Finding struct {
	ID       string   `json:"id"`                // of the vulnerability, such as CVE-2024-1234
	Aliases  []string `json:"aliases,omitempty"` // what vendors call it
	Severity Severity `json:"severity"`
	Source   string   `json:"source,omitempty"` // who has given the severity, such as "nvd" or "debian"

	Package   Package `json:"package"`
	Installed string  `json:"installed"`       // version of the package
	Fixed     string  `json:"fixed,omitempty"` // versions without it, separated by commas; empty if there is none

	// Status is what the vendor says of the package, such as "affected", "fixed",
	// "will_not_fix", "fix_deferred" or "end_of_life"; empty if nothing.
	Status string `json:"status,omitempty"`

	Title       string    `json:"title,omitempty"`
	Description string    `json:"description,omitempty"`
	URL         string    `json:"url,omitempty"`
	References  []string  `json:"references,omitempty"`
	CWEs        []string  `json:"cwes,omitempty"`
	CVSS        []CVSS    `json:"cvss,omitempty"` // by source
	PublishedAt time.Time `json:"publishedAt,omitzero"`
	ModifiedAt  time.Time `json:"modifiedAt,omitzero"`

	// FirstFoundAt is when this was first found in the image. Workers leave it empty.
	FirstFoundAt time.Time `json:"firstFoundAt,omitzero"`
}

// Package is what is vulnerable.
type Package struct {
	Name   string        `json:"name"`
	Type   string        `json:"type"`             // in the words of Trivy: "debian", "alpine", "npm", "gobinary", "jar"
	Target string        `json:"target,omitempty"` // where it was found: a file, or the name and version of the operating system
	Path   string        `json:"path,omitempty"`   // file of the package, if it has one of its own
	PURL   string        `json:"purl,omitempty"`
	Layer  digest.Digest `json:"layer,omitempty"` // that brought it, compressed
	OS     bool          `json:"os,omitempty"`    // of the operating system, not of a language
}

// CVSS is a score that somebody has given to a vulnerability.
type CVSS struct {
	Source  string  `json:"source"` // such as "nvd"
	Version string  `json:"version"`
	Score   float64 `json:"score"`
	Vector  string  `json:"vector,omitempty"`
}

// Key tells findings of an image apart: two with the same key are one.
func (f Finding) Key() string {
	return strings.Join([]string{f.ID, f.Package.Type, f.Package.Name, f.Installed, f.Package.Target, f.Package.Path}, "\x00")
}

// Fixable reports whether there is a version without the vulnerability.
func (f Finding) Fixable() bool { return f.Fixed != "" }

// Compare orders findings as they are shown: the worst first, then by vulnerability and
// package. It looks at the severity and what [Finding.Key] is made of.
func (f Finding) Compare(g Finding) int {
	return cmp.Or(f.Severity.Compare(g.Severity), strings.Compare(f.ID, g.ID), strings.Compare(f.Key(), g.Key()))
}

// Sort puts findings in the order of [Finding.Compare].
func Sort(findings []Finding) { slices.SortFunc(findings, Finding.Compare) }

// CVSSOf is the score of a major version of CVSS ("2", "3" or "4") to go by: of those who have
// given the severity, else of the NVD, else of anybody; false if there is none.
func (f Finding) CVSSOf(major string) (best CVSS, ok bool) {
	rank := func(c CVSS) int { return slices.Index([]string{"nvd", f.Source}, c.Source) } // -1 is anybody
	for _, c := range f.CVSS {
		if version, _, _ := strings.Cut(c.Version, "."); version == major && (!ok || rank(c) > rank(best)) {
			best, ok = c, true
		}
	}
	return best, ok
}

// Score is the score to show of a finding where there is room for one: of CVSS 3, which most
// vulnerabilities have, else of 4 or 2; false if there is none.
func (f Finding) Score() (CVSS, bool) {
	for _, major := range []string{"3", "4", "2"} {
		if c, ok := f.CVSSOf(major); ok {
			return c, true
		}
	}
	return CVSS{}, false
}

// Counts is how many findings there are of each severity; there are no zeros in it.
type Counts map[Severity]int

// Count counts findings by severity.
func Count(findings []Finding) Counts {
	c := Counts{}
	for _, f := range findings {
		c[f.Severity]++
	}
	return c
}

// Total is how many findings there are.
func (c Counts) Total() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}
