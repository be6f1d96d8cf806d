package ecr_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/ecr"
	"berth/registry/registrytest"
	"berth/scan"
)

// scans are those of the images of a test.
type scans struct {
	reports map[digest.Digest]scan.Report
	refuse  error // what Start answers
	asked   int   // how often Scans was asked
}

func (s *scans) Start(_ context.Context, repo registry.Name, d digest.Digest, how scan.StartOptions) (scan.Scan, error) {
	if s.refuse != nil {
		return scan.Scan{}, s.refuse
	}
	if how != (scan.StartOptions{}) {
		return scan.Scan{}, errors.New("the API of ECR has no options")
	}
	s.reports[d] = scan.Report{Scan: scan.Scan{Repository: repo, Digest: d, Status: scan.Pending, Reason: "no worker has taken it yet"}}
	return s.reports[d].Scan, nil
}

func (s *scans) Scan(ctx context.Context, repo registry.Name, d digest.Digest) (scan.Scan, error) {
	r, err := s.Report(ctx, repo, d)
	return r.Scan, err
}

func (s *scans) Scans(_ context.Context, _ registry.Name, images []digest.Digest) (map[digest.Digest]scan.Scan, error) {
	s.asked++
	found := map[digest.Digest]scan.Scan{}
	for _, d := range images {
		if r, ok := s.reports[d]; ok {
			found[d] = r.Scan
		}
	}
	return found, nil
}

func (s *scans) Report(_ context.Context, _ registry.Name, d digest.Digest) (scan.Report, error) {
	r, ok := s.reports[d]
	if !ok {
		return r, scan.ErrNotScanned
	}
	return r, nil
}

func (s *scans) Inventory(context.Context, registry.Name, digest.Digest) (json.RawMessage, error) {
	return nil, errors.New("the API of ECR has no inventories")
}

var (
	scannedAt  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	databaseAt = scannedAt.Add(-time.Hour)
	foundAt    = scannedAt.Add(-48 * time.Hour)
)

// newScannedFace has an image in repository rr, tagged v1, and its scan.
func newScannedFace(t *testing.T, found ...scan.Finding) (*face, *scans, digest.Digest) {
	t.Helper()
	s := &scans{reports: map[digest.Digest]scan.Report{}}
	f := newFace(t, func(o *ecr.Options) { o.Scans = s })
	image := registrytest.Recipe{Seed: 1}.Image()
	f.push(t, "rr", image, "v1")
	s.reports[image.Digest] = reportOf("rr", image.Digest, found...)
	return f, s, image.Digest
}

func reportOf(repo registry.Name, d digest.Digest, found ...scan.Finding) scan.Report {
	scan.Sort(found)
	return scan.Report{
		Scan: scan.Scan{
			Repository: repo, Digest: d, Status: scan.Complete, CompletedAt: scannedAt,
			Database: scan.Database{UpdatedAt: databaseAt}, Counts: scan.Count(found),
		},
		Scanner: "trivy 0.72.0", OS: "debian 12.5", Findings: found,
	}
}

// libc is a finding of which everything is known.
func libc() scan.Finding {
	return scan.Finding{
		ID: "CVE-2026-0001", Aliases: []string{"DSA-1"}, Severity: scan.High, Source: "debian",
		Package: scan.Package{
			Name: "libc6", Type: "debian", Target: "debian 12.5", PURL: "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12.5",
			Layer: digest.FromString("layer"), OS: true,
		},
		Installed: "1:2.36-9", Fixed: "2.36-10", Title: "overflow", Description: "An overflow.", URL: "https://example.com/CVE-2026-0001",
		References: []string{"https://example.com/1"}, PublishedAt: foundAt, ModifiedAt: foundAt, FirstFoundAt: foundAt,
		CVSS: []scan.CVSS{
			{Source: "redhat", Version: "3.1", Score: 5.5, Vector: "CVSS:3.1/RH"},
			{Source: "nvd", Version: "2.0", Score: 7.5, Vector: "AV:N"},
			{Source: "debian", Version: "3.1", Score: 8.1, Vector: "CVSS:3.1/DEB"},
			{Source: "nvd", Version: "3.1", Score: 9.8, Vector: "CVSS:3.1/NVD"},
			{Source: "ghsa", Version: "4.0", Score: 8.7, Vector: "CVSS:4.0/X"},
		},
	}
}

// hostile is one whose texts were written by somebody who means harm.
func hostile() scan.Finding {
	return scan.Finding{
		ID: "CVE-2026-0002", Severity: scan.Undefined,
		Package:   scan.Package{Name: "<script>alert(1)</script>\x00\x1b[31m", Type: "npm", Target: "app/package-lock.json\x00"},
		Installed: "1.0.0",
	}
}

func (f *face) enhance(t *testing.T, frequency string) {
	t.Helper()
	got := f.do(t, "PutRegistryScanningConfiguration", members{"scanType": "ENHANCED", "rules": []any{members{
		"scanFrequency": frequency, "repositoryFilters": []any{members{"filter": "*", "filterType": "WILDCARD"}},
	}}})
	if got["failed"] != nil {
		t.Fatal(got)
	}
}

var imageV1 = members{"repositoryName": "rr", "imageId": members{"imageTag": "v1"}}
