//go:build goexperiment.jsonv2

package trivy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/aquasecurity/trivy/pkg/result"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/opencontainers/go-digest"

	"berth/scan"
)

// Match implements [scan.Scanner]. Calls may run beside each other.
func (s *Scanner) Match(ctx context.Context, inventory json.RawMessage) (_ []scan.Finding, err error) {
	s.matching.RLock()
	defer s.matching.RUnlock()
	if s.present.dir == "" {
		return nil, scan.ErrNoDatabase
	}
	target, err := decode(ctx, inventory)
	if err != nil {
		return nil, fmt.Errorf("the inventory cannot be read: %w", err)
	}
	results, err := s.match(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("looking packages up in the database in %s: %w", s.present.dir, err)
	}
	findings := []scan.Finding{}
	for _, r := range results {
		for _, v := range r.Vulnerabilities {
			findings = append(findings, finding(r, v))
		}
	}
	scan.Sort(findings)
	return findings, nil
}

func (s *Scanner) match(ctx context.Context, target types.ScanTarget) (_ types.Results, err error) {
	defer onFault(&err)()
	results, _, err := s.vulnerabilities.ScanTarget(ctx, target, scanOptions(types.VulnerabilityScanner))
	if err != nil {
		return nil, err
	}
	for n := range results { // takes out what is there twice
		if err := result.FilterResult(ctx, &results[n], result.IgnoreConfig{}, result.FilterOptions{Severities: allSeverities}); err != nil {
			return nil, err
		}
	}
	return results, nil
}

var allSeverities = []dbtypes.Severity{
	dbtypes.SeverityUnknown, dbtypes.SeverityLow, dbtypes.SeverityMedium, dbtypes.SeverityHigh, dbtypes.SeverityCritical,
}

// finding is a vulnerability that Trivy has found, in the words of package scan.
func finding(r types.Result, v types.DetectedVulnerability) scan.Finding {
	//lint:ignore SA1019 it is the severity that Trivy shows; its source is SeveritySource
	shown := v.Severity
	f := scan.Finding{
		ID:       v.VulnerabilityID,
		Aliases:  v.VendorIDs,
		Severity: severity(shown),
		Source:   string(v.SeveritySource),
		Package: scan.Package{
			Name:   v.PkgName,
			Type:   string(r.Type),
			Target: r.Target,
			Path:   v.PkgPath,
			Layer:  digest.Digest(v.Layer.Digest),
			OS:     r.Class == types.ClassOSPkg,
		},
		Installed:   v.InstalledVersion,
		Fixed:       v.FixedVersion,
		Status:      v.Status.String(),
		Title:       v.Title,
		Description: v.Description,
		URL:         v.PrimaryURL,
		References:  v.References,
		CWEs:        v.CweIDs,
		CVSS:        cvss(v.CVSS),
		PublishedAt: timeOf(v.PublishedDate),
		ModifiedAt:  timeOf(v.LastModifiedDate),
	}
	if v.PkgIdentifier.PURL != nil {
		f.Package.PURL = v.PkgIdentifier.PURL.String()
	}
	if f.Package.OS { // Trivy writes "name (debian 12.5)", with the name of the image, which it is not told
		f.Package.Target = strings.TrimSuffix(strings.TrimPrefix(r.Target, " ("), ")")
	}
	return f
}

func severity(s string) scan.Severity {
	switch s {
	case "CRITICAL":
		return scan.Critical
	case "HIGH":
		return scan.High
	case "MEDIUM":
		return scan.Medium
	case "LOW":
		return scan.Low
	}
	return scan.Undefined
}

// cvss are the scores that a vulnerability has, by source and version.
func cvss(scores dbtypes.VendorCVSS) (all []scan.CVSS) {
	for source, s := range scores {
		for _, c := range []scan.CVSS{
			{Version: "2.0", Score: s.V2Score, Vector: s.V2Vector},
			{Version: cvss3Version(s.V3Vector), Score: s.V3Score, Vector: s.V3Vector},
			{Version: "4.0", Score: s.V40Score, Vector: s.V40Vector},
		} {
			if c.Score != 0 || c.Vector != "" {
				c.Source = string(source)
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b scan.CVSS) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Version, b.Version))
	})
	return all
}

func cvss3Version(vector string) string {
	if strings.HasPrefix(vector, "CVSS:3.0/") {
		return "3.0"
	}
	return "3.1"
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
