package vex

import (
	"encoding/json"
	"fmt"
	"strings"

	"berth/scan"
)

// isOpenVEX reports whether the context of a JSON-LD document is that of OpenVEX.
func isOpenVEX(context json.RawMessage) bool {
	var s string
	return json.Unmarshal(context, &s) == nil && strings.HasPrefix(s, "https://openvex.dev/ns")
}

// openVEX is a document of OpenVEX, in its version 0.2.0 and those before.
// https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md
type openVEX struct {
	ID          string             `json:"@id"`
	Author      string             `json:"author"`
	Timestamp   string             `json:"timestamp"`
	LastUpdated string             `json:"last_updated"`
	Statements  []openVEXStatement `json:"statements"`
}

type openVEXStatement struct {
	Vulnerability   openVEXVulnerability `json:"vulnerability"`
	Timestamp       string               `json:"timestamp"`
	LastUpdated     string               `json:"last_updated"`
	Products        []openVEXProduct     `json:"products"`
	Subcomponents   []openVEXComponent   `json:"subcomponents"` // before 0.2.0
	Status          scan.VEXStatus       `json:"status"`
	StatusNotes     string               `json:"status_notes"`
	Justification   string               `json:"justification"`
	ImpactStatement string               `json:"impact_statement"`
}

type openVEXVulnerability struct {
	ID      string   `json:"@id"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
}

// UnmarshalJSON reads a vulnerability that is only a name too, as it was before 0.2.0.
func (v *openVEXVulnerability) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &v.Name)
	}
	type plain openVEXVulnerability // has no methods
	return json.Unmarshal(b, (*plain)(v))
}

type openVEXComponent struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
	Hashes      map[string]string `json:"hashes"`
}

// UnmarshalJSON reads a component that is only a name too, as it was before 0.2.0.
func (c *openVEXComponent) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &c.ID)
	}
	type plain openVEXComponent // has no methods
	return json.Unmarshal(b, (*plain)(c))
}

// names are what the component may be recognized by.
func (c openVEXComponent) names() []string {
	names := []string{c.ID, c.Identifiers["purl"]}
	for _, algorithm := range []string{"sha-256", "sha-512"} { // as OpenVEX writes them
		if hex := c.Hashes[algorithm]; hex != "" {
			names = append(names, strings.Replace(algorithm, "-", "", 1)+":"+strings.ToLower(hex))
		}
	}
	return names
}

type openVEXProduct struct {
	openVEXComponent
	Subcomponents []openVEXComponent
}

// UnmarshalJSON reads a component and what is in it.
func (p *openVEXProduct) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &p.openVEXComponent); err != nil || b[0] == '"' {
		return err
	}
	var in struct {
		Subcomponents []openVEXComponent `json:"subcomponents"`
	}
	err := json.Unmarshal(b, &in)
	p.Subcomponents = in.Subcomponents
	return err
}

// parseOpenVEX reads a document. What is said about no product in particular is about the
// image if the document is the predicate of an attestation about that, and else about nothing.
func parseOpenVEX(b []byte, attested bool) (scan.VEXDocument, error) {
	doc := scan.VEXDocument{Format: "OpenVEX"}
	var in openVEX
	if err := json.Unmarshal(b, &in); err != nil {
		return doc, fmt.Errorf("the OpenVEX document cannot be read: %w", err)
	}
	doc.ID, doc.Author = clean(in.ID), clean(in.Author)
	doc.IssuedAt = moment(in.LastUpdated, in.Timestamp)
	if err := tooMany(len(in.Statements)); err != nil {
		return doc, err
	}
	var names budget
	statements := make([]scan.VEXStatement, 0, len(in.Statements))
	for i, from := range in.Statements {
		s := scan.VEXStatement{
			Status: from.Status,
			Reason: join("; ", strings.ReplaceAll(from.Justification, "_", " "), from.ImpactStatement, from.StatusNotes),
			At:     moment(from.LastUpdated, from.Timestamp, in.LastUpdated, in.Timestamp),
			Image:  attested && len(from.Products) == 0,
		}
		switch s.Status {
		case scan.VEXNotAffected, scan.VEXFixed, scan.VEXAffected, scan.VEXUnderInvestigation:
		default:
			return doc, fmt.Errorf("statement %d has the status %q; OpenVEX has not_affected, affected, fixed and under_investigation", i+1, clean(string(s.Status)))
		}
		v := from.Vulnerability
		if err := names.add(&s.Vulnerabilities, append([]string{v.Name, lastPart(v.ID)}, v.Aliases...)...); err != nil {
			return doc, err
		}
		if len(s.Vulnerabilities) == 0 {
			return doc, fmt.Errorf("statement %d does not say which vulnerability it is about", i+1)
		}
		for _, from := range from.Products {
			p := scan.VEXProduct{}
			if err := names.add(&p.Names, from.names()...); err != nil {
				return doc, err
			}
			if len(p.Names) == 0 {
				continue
			}
			inside := append(from.Subcomponents, in.Statements[i].Subcomponents...)
			for _, c := range inside {
				if err := names.add(&p.Subcomponents, c.names()...); err != nil {
					return doc, err
				}
			}
			if len(inside) > 0 && len(p.Subcomponents) == 0 {
				continue // it is about something in the product, and nobody knows what
			}
			s.Products = append(s.Products, p)
		}
		statements = append(statements, s)
	}
	doc.Statements = statements
	return doc, nil
}

// lastPart is what an address such as https://nvd.nist.gov/vuln/detail/CVE-2024-1234 ends with.
func lastPart(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }
