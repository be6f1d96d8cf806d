package export

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/scan"
)

// CycloneDX is an inventory with the vulnerabilities of what it lists. The findings are those of
// one image, the inventory being its own. Those that were taken out come with an analysis.
// https://cyclonedx.org/docs/1.6/json/#vulnerabilities
func CycloneDX(inventory json.RawMessage, i Image) (json.RawMessage, error) {
	var bom map[string]json.RawMessage
	var known struct {
		Format   string `json:"bomFormat"`
		Metadata struct {
			Component bomComponent `json:"component"`
		} `json:"metadata"`
		Components []bomComponent `json:"components"`
	}
	if err := errors.Join(json.Unmarshal(inventory, &bom), json.Unmarshal(inventory, &known)); err != nil {
		return nil, fmt.Errorf("the inventory of %s is damaged: %w", i.Name, err)
	}
	if known.Format != "CycloneDX" {
		return nil, fmt.Errorf("the inventory of %s is no CycloneDX document but %q", i.Name, known.Format)
	}
	refs := newComponentRefs(known.Metadata.Component, known.Components)
	var list []vulnerability
	index := map[string]int{}
	add := func(f scan.Finding, a *analysis) {
		key := f.ID
		if a != nil {
			key = strings.Join([]string{f.ID, a.State, a.Detail}, "\x00")
		}
		n, there := index[key]
		if !there {
			n = len(list)
			index[key] = n
			list = append(list, newVulnerability(f, a))
		}
		list[n].affect(f, refs)
	}
	for _, f := range i.Findings {
		add(f, nil)
	}
	for _, x := range i.Excepted {
		add(x.Finding, newAnalysis(x))
	}
	if list == nil {
		list = []vulnerability{}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	bom["vulnerabilities"] = b
	delete(bom, "serialNumber") // which is that of the inventory alone
	return json.Marshal(bom)
}

// bomComponent is what is read of a component.
type bomComponent struct {
	Ref        string         `json:"bom-ref"`
	PURL       string         `json:"purl"`
	Name       string         `json:"name"`
	Version    string         `json:"version"`
	Components []bomComponent `json:"components"`
	Properties []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"properties"`
}

// path is the file of a component, if it has one of its own.
func (c bomComponent) path() string {
	for _, p := range c.Properties {
		if p.Name == "aquasecurity:trivy:FilePath" {
			return p.Value
		}
	}
	return ""
}

// componentRefs finds the components that findings are about.
type componentRefs struct {
	byPURL map[string][]bomComponent
	byName map[[2]string][]bomComponent // and version
	root   string
}

func newComponentRefs(root bomComponent, components []bomComponent) componentRefs {
	r := componentRefs{map[string][]bomComponent{}, map[[2]string][]bomComponent{}, root.Ref}
	var walk func([]bomComponent)
	walk = func(list []bomComponent) {
		for _, c := range list {
			if c.Ref != "" {
				if c.PURL != "" {
					r.byPURL[c.PURL] = append(r.byPURL[c.PURL], c)
				}
				key := [2]string{c.Name, c.Version}
				r.byName[key] = append(r.byName[key], c)
			}
			walk(c.Components)
		}
	}
	walk(components)
	return r
}

// of are the references of what a finding is about: of the components with its package URL, of
// these the one at its path if there is one; without any, of the image as a whole.
func (r componentRefs) of(p scan.Package, version string) []string {
	found := r.byPURL[p.PURL]
	if p.PURL == "" || len(found) == 0 {
		found = r.byName[[2]string{p.Name, version}]
	}
	var refs []string
	for _, c := range found {
		if p.Path != "" && c.path() == p.Path {
			return []string{c.Ref}
		}
		refs = append(refs, c.Ref)
	}
	if refs == nil && r.root != "" {
		refs = []string{r.root}
	}
	return refs
}

type vulnerability struct {
	ID             string     `json:"id"`
	Source         *source    `json:"source,omitempty"`
	References     []alias    `json:"references,omitempty"`
	Ratings        []rating   `json:"ratings,omitempty"`
	CWEs           []int      `json:"cwes,omitempty"`
	Description    string     `json:"description,omitempty"`
	Recommendation string     `json:"recommendation,omitempty"`
	Advisories     []advisory `json:"advisories,omitempty"`
	PublishedAt    time.Time  `json:"published,omitzero"`
	UpdatedAt      time.Time  `json:"updated,omitzero"`
	Analysis       *analysis  `json:"analysis,omitempty"`
	Affects        []affected `json:"affects,omitempty"`
}

type source struct {
	Name string `json:"name,omitempty"`
	URL  string `json:"url,omitempty"`
}

type alias struct {
	ID     string `json:"id"`
	Source source `json:"source"`
}

type rating struct {
	Source   *source  `json:"source,omitempty"`
	Score    *float64 `json:"score,omitempty"`
	Severity string   `json:"severity,omitempty"`
	Method   string   `json:"method,omitempty"`
	Vector   string   `json:"vector,omitempty"`
}

type advisory struct {
	URL string `json:"url"`
}

type analysis struct {
	State    string   `json:"state"`
	Response []string `json:"response,omitempty"`
	Detail   string   `json:"detail"`
}

type affected struct {
	Ref      string            `json:"ref"`
	Versions []affectedVersion `json:"versions"`
}

type affectedVersion struct {
	Version string `json:"version"`
	Status  string `json:"status"`
}

func newVulnerability(f scan.Finding, a *analysis) vulnerability {
	v := vulnerability{
		ID: f.ID, Description: cmp.Or(f.Description, f.Title), PublishedAt: f.PublishedAt, UpdatedAt: f.ModifiedAt, Analysis: a,
		Source: newSource(f.Source, f.URL),
	}
	for _, id := range f.Aliases {
		v.References = append(v.References, alias{ID: id, Source: source{Name: f.Source}})
	}
	// The severity is that of the finding, and scores are beside it as they were given.
	v.Ratings = append(v.Ratings, rating{Source: newSource(f.Source, ""), Severity: severityWord(f.Severity)})
	for _, c := range f.CVSS {
		v.Ratings = append(v.Ratings, rating{Source: newSource(c.Source, ""), Score: &c.Score, Method: method(c), Vector: c.Vector})
	}
	for _, cwe := range f.CWEs {
		if n, err := strconv.Atoi(strings.TrimPrefix(cwe, "CWE-")); err == nil && n > 0 {
			v.CWEs = append(v.CWEs, n)
		}
	}
	for _, reference := range f.References {
		if page := webPage(reference); page != "" && !slices.Contains(v.Advisories, advisory{page}) {
			v.Advisories = append(v.Advisories, advisory{page})
		}
	}
	return v
}

// affect adds what a finding is about.
func (v *vulnerability) affect(f scan.Finding, refs componentRefs) {
	for _, ref := range refs.of(f.Package, f.Installed) {
		version := affectedVersion{f.Installed, "affected"}
		i := slices.IndexFunc(v.Affects, func(a affected) bool { return a.Ref == ref })
		switch {
		case i < 0:
			v.Affects = append(v.Affects, affected{ref, []affectedVersion{version}})
		case !slices.Contains(v.Affects[i].Versions, version):
			v.Affects[i].Versions = append(v.Affects[i].Versions, version)
		}
	}
	if !f.Fixable() {
		return
	}
	advice := "Upgrade " + f.Package.Name + " to " + f.Fixed
	if !slices.Contains(strings.Split(v.Recommendation, "; "), advice) {
		if v.Recommendation != "" {
			v.Recommendation += "; "
		}
		v.Recommendation += advice
	}
}

// newAnalysis says why a finding was taken out: a VEX document says that the image is not
// affected, an exception that somebody lives with it.
func newAnalysis(x scan.Excepted) *analysis {
	a := analysis{State: "exploitable", Response: []string{"will_not_fix"}, Detail: x.Reason + " (" + x.By + ")"}
	if _, err := digest.Parse(x.By); err == nil {
		a.State, a.Response = "not_affected", nil
	}
	return &a
}

func newSource(name, page string) *source {
	if name == "" && webPage(page) == "" {
		return nil
	}
	return &source{name, webPage(page)}
}

// severityWord is a severity in the words of CycloneDX.
func severityWord(s scan.Severity) string {
	switch s {
	case scan.Informational:
		return "info"
	case scan.Undefined:
		return "unknown"
	}
	return strings.ToLower(string(s))
}

// method is the version of CVSS in the words of CycloneDX.
func method(c scan.CVSS) string {
	switch major, minor, _ := strings.Cut(c.Version, "."); {
	case major == "2":
		return "CVSSv2"
	case major == "3" && minor == "1":
		return "CVSSv31"
	case major == "3":
		return "CVSSv3"
	case major == "4":
		return "CVSSv4"
	}
	return "other"
}
