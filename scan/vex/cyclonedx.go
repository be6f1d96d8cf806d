package vex

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"berth/scan"
)

// cycloneDX is what a document of CycloneDX says about vulnerabilities.
// https://cyclonedx.org/capabilities/vex/
type cycloneDX struct {
	SerialNumber string `json:"serialNumber"`
	Metadata     struct {
		Timestamp string              `json:"timestamp"`
		Authors   []cycloneDXName     `json:"authors"`
		Supplier  cycloneDXName       `json:"supplier"`
		Component *cycloneDXComponent `json:"component"`
	} `json:"metadata"`
	Components      []cycloneDXComponent     `json:"components"`
	Vulnerabilities []cycloneDXVulnerability `json:"vulnerabilities"`
}

type cycloneDXName struct {
	Name string `json:"name"`
}

type cycloneDXComponent struct {
	Ref        string               `json:"bom-ref"`
	PURL       string               `json:"purl"`
	Version    string               `json:"version"`
	Components []cycloneDXComponent `json:"components"`
}

type cycloneDXVulnerability struct {
	ID         string `json:"id"`
	References []struct {
		ID string `json:"id"`
	} `json:"references"`
	Published string             `json:"published"`
	Updated   string             `json:"updated"`
	Analysis  *cycloneDXAnalysis `json:"analysis"`
	Affects   []struct {
		Ref      string `json:"ref"`
		Versions []struct {
			Version string `json:"version"`
			Range   string `json:"range"`
			Status  string `json:"status"`
		} `json:"versions"`
	} `json:"affects"`
}

type cycloneDXAnalysis struct {
	State         string `json:"state"`
	Justification string `json:"justification"`
	Detail        string `json:"detail"`
	FirstIssued   string `json:"firstIssued"`
	LastUpdated   string `json:"lastUpdated"`
}

// cycloneDXStates are the states of an analysis. A false positive is one that is not there.
var cycloneDXStates = map[string]scan.VEXStatus{
	"resolved":               scan.VEXFixed,
	"resolved_with_pedigree": scan.VEXFixed,
	"exploitable":            scan.VEXAffected,
	"in_triage":              scan.VEXUnderInvestigation,
	"false_positive":         scan.VEXNotAffected,
	"not_affected":           scan.VEXNotAffected,
}

// parseCycloneDX reads what a document says. One in which no vulnerability was analysed, such
// as a bill of materials, is none. Errors: ErrNoVEX.
func parseCycloneDX(b []byte) (scan.VEXDocument, error) {
	doc := scan.VEXDocument{Format: "CycloneDX"}
	var in cycloneDX
	if err := json.Unmarshal(b, &in); err != nil {
		return doc, fmt.Errorf("the CycloneDX document cannot be read: %w", err)
	}
	doc.ID, doc.IssuedAt = clean(in.SerialNumber), moment(in.Metadata.Timestamp)
	var authors []string
	for _, a := range in.Metadata.Authors {
		authors = append(authors, a.Name)
	}
	if doc.Author = join(", ", authors...); doc.Author == "" {
		doc.Author = clean(in.Metadata.Supplier.Name)
	}
	if err := tooMany(len(in.Vulnerabilities)); err != nil {
		return doc, err
	}
	refs := map[string][]string{}
	if c := in.Metadata.Component; c != nil {
		addRefs(refs, []cycloneDXComponent{*c})
		refs[c.Ref] = append(refs[c.Ref], c.Version) // of an image its digest
	}
	addRefs(refs, in.Components)
	var names budget
	statements := []scan.VEXStatement{}
	for _, v := range in.Vulnerabilities {
		if v.Analysis == nil || v.Analysis.State == "" {
			continue // it was only found
		}
		s := scan.VEXStatement{
			Status: cycloneDXStates[v.Analysis.State],
			Reason: join("; ", strings.ReplaceAll(v.Analysis.Justification, "_", " "), v.Analysis.Detail),
			At:     moment(v.Analysis.LastUpdated, v.Analysis.FirstIssued, v.Updated, v.Published, in.Metadata.Timestamp),
		}
		if s.Status == "" {
			return doc, fmt.Errorf("the analysis of %s has the state %q, which CycloneDX does not have", clean(v.ID), clean(v.Analysis.State))
		}
		if err := names.add(&s.Vulnerabilities, v.ID); err != nil {
			return doc, err
		}
		for _, r := range v.References {
			if err := names.add(&s.Vulnerabilities, r.ID); err != nil {
				return doc, err
			}
		}
		if len(s.Vulnerabilities) == 0 {
			return doc, fmt.Errorf("a vulnerability that was analysed has no id")
		}
		for _, a := range v.Affects {
			if len(a.Versions) > 0 && s.Status != scan.VEXAffected && s.Status != scan.VEXUnderInvestigation {
				continue // it is about some versions of the component only, and which ones a range may say
			}
			p := scan.VEXProduct{}
			if err := names.add(&p.Names, named(refs, a.Ref)...); err != nil {
				return doc, err
			}
			if len(p.Names) > 0 {
				s.Products = append(s.Products, p)
			}
		}
		statements = append(statements, s)
	}
	if len(statements) == 0 {
		return doc, ErrNoVEX
	}
	doc.Statements = statements
	return doc, nil
}

// addRefs notes what components are called outside of the document.
func addRefs(refs map[string][]string, components []cycloneDXComponent) {
	for _, c := range components {
		if c.Ref != "" && c.PURL != "" {
			refs[c.Ref] = append(refs[c.Ref], c.PURL)
		}
		addRefs(refs, c.Components)
	}
}

// named is what ref refers to: a component of the document, or of another one, which a BOM-Link
// (urn:cdx:serial/version#ref) does. Often the reference is a package URL itself.
// https://cyclonedx.org/capabilities/bomlink/
func named(refs map[string][]string, ref string) []string {
	if link, ok := strings.CutPrefix(ref, "urn:cdx:"); ok {
		_, fragment, _ := strings.Cut(link, "#")
		unescaped, err := url.PathUnescape(fragment)
		if err != nil {
			return nil
		}
		ref = unescaped
	}
	if ref == "" {
		return nil
	}
	return append(append([]string(nil), refs[ref]...), ref)
}
