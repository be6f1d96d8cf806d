package ecr

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"berth/registry"
	"berth/scan"
)

type findingsInput struct {
	imageInput
	pageInput
}

func (in *findingsInput) validate(k *check) {
	in.imageInput.validate(k)
	in.pageInput.validate(k, maxPage, "")
}

type findingsOutput struct {
	RegistryID string        `json:"registryId"`
	Repository registry.Name `json:"repositoryName"`
	ID         imageID       `json:"imageId"`
	Status     scanStatus    `json:"imageScanStatus"`
	Findings   *findings     `json:"imageScanFindings,omitempty"`
	NextToken  string        `json:"nextToken,omitempty"`
}

// findings are those of a page, in one of two lists: as the mode has it.
type findings struct {
	*findingsSummary
	Basic    []basicFinding    `json:"findings,omitzero"`
	Enhanced []enhancedFinding `json:"enhancedFindings,omitzero"`
}

func (c *call) describeImageScanFindings(ctx context.Context, in *findingsInput) (findingsOutput, error) {
	out := findingsOutput{RegistryID: c.account(), Repository: in.RepositoryName}
	image, err := c.image(ctx, in.RepositoryName, *in.ID)
	if err != nil {
		return out, err
	}
	out.ID = in.named(image)
	asked := question(string(in.RepositoryName), string(image.Digest))
	var last string
	if err := c.resume(&in.pageInput, asked, &last); err != nil {
		return out, err
	}
	if c.opts.Scans == nil {
		return out, c.scanException(scan.ErrNotScanned, &in.imageInput, image)
	}
	report, err := c.opts.Scans.Report(ctx, in.RepositoryName, image.Digest)
	if err != nil {
		return out, c.scanException(err, &in.imageInput, image)
	}
	view, err := c.scanView(ctx, in.RepositoryName)
	if err != nil {
		return out, err
	}
	out.Status = view.status(report.Scan)
	summary := view.summary(report.Scan)
	if summary == nil {
		return out, nil
	}
	page, rest, err := after(report.Findings, last, in.limit(defaultPage))
	if err != nil {
		return out, err
	}
	if rest {
		out.NextToken = c.next(asked, position(page[len(page)-1]))
	}
	out.Findings = &findings{findingsSummary: summary}
	if view.mode == scan.Enhanced {
		out.Findings.Enhanced = c.enhancedFindings(view, in.RepositoryName, image, report, page)
		return out, nil
	}
	out.Findings.Basic = make([]basicFinding, 0, len(page))
	for _, f := range page {
		out.Findings.Basic = append(out.Findings.Basic, newBasicFinding(f))
	}
	return out, nil
}

// position is where a finding stands among others, as tokens have it: JSON within their JSON, since
// names that come out of images may have any character.
func position(f scan.Finding) string {
	b, err := json.Marshal(scan.Finding{
		ID: f.ID, Severity: f.Severity, Installed: f.Installed,
		Package: scan.Package{Type: f.Package.Type, Name: f.Package.Name, Target: f.Package.Target, Path: f.Package.Path},
	})
	if err != nil {
		return "" // strings always encode
	}
	return string(b)
}

// after is the page of findings after a position, and whether more follow. Others may be there
// than when the position was given out: the image may have been matched with a newer database since.
func after(all []scan.Finding, position string, limit int) (page []scan.Finding, more bool, err error) {
	if position != "" {
		var last scan.Finding
		if err := json.Unmarshal([]byte(position), &last); err != nil {
			return nil, false, invalid("nextToken", "the token is not one that this list has given; begin without one")
		}
		i, found := slices.BinarySearchFunc(all, last, scan.Finding.Compare)
		if found {
			i++
		}
		all = all[i:]
	}
	return all[:min(limit, len(all))], len(all) > limit, nil
}

// basicFinding is a finding as basic scanning has it. What that has no word for is among the
// attributes, in lower case like those of ECR that are not about CVSS.
type basicFinding struct {
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	URI         string        `json:"uri,omitempty"`
	Severity    scan.Severity `json:"severity"`
	Attributes  []attribute   `json:"attributes"`
}

type attribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func newBasicFinding(f scan.Finding) basicFinding {
	b := basicFinding{Name: f.ID, Description: f.Description, URI: f.URL, Severity: f.Severity}
	add := func(key, value string) {
		if value != "" {
			b.Attributes = append(b.Attributes, attribute{key, value})
		}
	}
	add("package_version", f.Installed)
	add("package_name", f.Package.Name)
	for _, major := range []string{"2", "3", "4"} {
		if c, ok := f.CVSSOf(major); ok {
			add("CVSS"+major+"_VECTOR", c.Vector)
			add("CVSS"+major+"_SCORE", strconv.FormatFloat(c.Score, 'f', -1, 64))
		}
	}
	add("fixed_in", f.Fixed)
	add("package_type", f.Package.Type)
	add("package_path", f.Package.Path)
	if !f.FirstFoundAt.IsZero() {
		add("first_found_at", f.FirstFoundAt.UTC().Format(time.RFC3339))
	}
	return b
}
