package ecr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
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

func TestBasicFindings(t *testing.T) {
	f, _, d := newScannedFace(t, hostile(), libc())
	got := f.do(t, "DescribeImageScanFindings", imageV1)
	if id := got["imageId"].(map[string]any); id["imageDigest"] != string(d) || id["imageTag"] != "v1" || got["registryId"] != account || got["repositoryName"] != "rr" {
		t.Errorf("%v", got)
	}
	if got := fmt.Sprint(got["imageScanStatus"]); got != "map[description:The scan was completed successfully. status:COMPLETE]" {
		t.Error(got)
	}
	all := got["imageScanFindings"].(map[string]any)
	if all["imageScanCompletedAt"] != float64(scannedAt.Unix()) || all["vulnerabilitySourceUpdatedAt"] != float64(databaseAt.Unix()) ||
		fmt.Sprint(all["findingSeverityCounts"]) != "map[HIGH:1 UNDEFINED:1]" || all["enhancedFindings"] != nil {
		t.Errorf("%v", all)
	}
	list := all["findings"].([]any)
	if len(list) != 2 {
		t.Fatalf("%d findings: %v", len(list), list)
	}
	first := list[0].(map[string]any)
	if first["name"] != "CVE-2026-0001" || first["severity"] != "HIGH" || first["uri"] != "https://example.com/CVE-2026-0001" || first["description"] != "An overflow." {
		t.Errorf("%v", first)
	}
	want := map[string]string{
		"package_name": "libc6", "package_version": "1:2.36-9", "CVSS2_SCORE": "7.5", "CVSS2_VECTOR": "AV:N", "CVSS3_SCORE": "8.1",
		"CVSS3_VECTOR": "CVSS:3.1/DEB", "CVSS4_SCORE": "8.7", "CVSS4_VECTOR": "CVSS:4.0/X",
		"fixed_in": "2.36-10", "package_type": "debian", "first_found_at": "2026-02-27T12:00:00Z",
	}
	if got := attributesOf(first); !maps.Equal(got, want) {
		t.Errorf("attributes %v\nwant       %v", got, want)
	}
	if got := attributesOf(list[1].(map[string]any)); got["package_name"] != hostile().Package.Name || len(got) != 3 {
		t.Errorf("attributes of the second %v", got)
	}
	b, _ := json.Marshal(imageV1)
	if _, _, header := f.raw("admin", "DescribeImageScanFindings", b); header.Get("Content-Type") != "application/x-amz-json-1.1" {
		t.Errorf("the answer is %s", header.Get("Content-Type"))
	}
}

func attributesOf(finding map[string]any) map[string]string {
	all := map[string]string{}
	for _, a := range finding["attributes"].([]any) {
		a := a.(map[string]any)
		all[a["key"].(string)] = a["value"].(string)
	}
	return all
}

func TestEnhancedFindings(t *testing.T) {
	f, _, d := newScannedFace(t, hostile(), libc())
	f.enhance(t, "CONTINUOUS_SCAN")
	got := f.do(t, "DescribeImageScanFindings", imageV1)
	if got := fmt.Sprint(got["imageScanStatus"]); got != "map[description:Continuous scan is selected for image. status:ACTIVE]" {
		t.Error(got)
	}
	all := got["imageScanFindings"].(map[string]any)
	if all["findings"] != nil || fmt.Sprint(all["findingSeverityCounts"]) != "map[HIGH:1 UNTRIAGED:1]" {
		t.Errorf("%v", all)
	}
	list := all["enhancedFindings"].([]any)
	first := list[0].(map[string]any)
	arn, _ := first["findingArn"].(string)
	delete(first, "findingArn")
	if !strings.HasPrefix(arn, "arn:aws:inspector2:eu-test-1:"+account+":finding/") || arn == list[1].(map[string]any)["findingArn"] {
		t.Errorf("finding %s", arn)
	}
	image, err := f.engine.Image(t.Context(), "rr", registry.ImageID{Digest: d})
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	err = json.Unmarshal(fmt.Appendf(nil, `{
		"awsAccountId": "111122223333", "type": "PACKAGE_VULNERABILITY", "title": "CVE-2026-0001 - libc6", "description": "An overflow.",
		"severity": "HIGH", "status": "ACTIVE", "score": 8.1,
		"scoreDetails": {"cvss": {"score": 8.1, "scoreSource": "DEBIAN", "scoringVector": "CVSS:3.1/DEB", "version": "3.1"}},
		"firstObservedAt": 1772193600, "lastObservedAt": 1772366400, "updatedAt": 1772366400, "fixAvailable": "YES",
		"packageVulnerabilityDetails": {
			"vulnerabilityId": "CVE-2026-0001", "source": "DEBIAN", "sourceUrl": "https://example.com/CVE-2026-0001", "vendorSeverity": "HIGH",
			"vendorCreatedAt": 1772193600, "vendorUpdatedAt": 1772193600,
			"referenceUrls": ["https://example.com/1"], "relatedVulnerabilities": ["DSA-1"],
			"cvss": [
				{"baseScore": 5.5, "scoringVector": "CVSS:3.1/RH", "source": "REDHAT", "version": "3.1"},
				{"baseScore": 7.5, "scoringVector": "AV:N", "source": "NVD", "version": "2.0"},
				{"baseScore": 8.1, "scoringVector": "CVSS:3.1/DEB", "source": "DEBIAN", "version": "3.1"},
				{"baseScore": 9.8, "scoringVector": "CVSS:3.1/NVD", "source": "NVD", "version": "3.1"},
				{"baseScore": 8.7, "scoringVector": "CVSS:4.0/X", "source": "GHSA", "version": "4.0"}],
			"vulnerablePackages": [{"name": "libc6", "version": "2.36", "release": "9", "epoch": 1, "arch": "AMD64", "packageManager": "OS",
				"sourceLayerHash": %q, "fixedInVersion": "2.36-10"}]},
		"remediation": {"recommendation": {"text": "Update libc6 to 2.36-10", "url": "https://example.com/CVE-2026-0001"}},
		"resources": [{"type": "AWS_ECR_CONTAINER_IMAGE", "id": "arn:aws:ecr:eu-test-1:111122223333:repository/rr/%[2]s",
			"details": {"awsEcrContainerImage": {"platform": "DEBIAN_12_5", "registry": "111122223333", "repositoryName": "rr",
				"imageHash": %[2]q, "imageTags": ["v1"], "pushedAt": %.3[3]f}}}]
	}`, libc().Package.Layer, d, float64(image.PushedAt.UnixMilli())/1000), &want)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := indented(first), indented(want); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	second := list[1].(map[string]any)
	p := second["packageVulnerabilityDetails"].(map[string]any)["vulnerablePackages"].([]any)[0].(map[string]any)
	if second["severity"] != "UNTRIAGED" || second["fixAvailable"] != "NO" || p["fixedInVersion"] != "NotAvailable" || p["packageManager"] != "NPM" ||
		p["name"] != hostile().Package.Name || p["version"] != "1.0.0" || p["filePath"] != hostile().Package.Target {
		t.Errorf("%v", second)
	}
}

func indented(v any) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}

// TestScanStatus: how a scan is told in both modes, and when there are findings to be told.
func TestScanStatus(t *testing.T) {
	never := scan.Scan{}
	again := scan.Scan{CompletedAt: scannedAt, Counts: scan.Counts{}}
	for _, test := range []struct {
		scan      scan.Scan // but for status and reason
		status    scan.Status
		reason    string
		frequency string // of enhanced scanning; empty is basic
		want      string
		findings  bool
	}{
		{never, scan.Pending, "there is no database", "", "PENDING there is no database", false},
		{never, scan.InProgress, "", "", "IN_PROGRESS ", false},
		{again, scan.InProgress, "", "", "IN_PROGRESS ", true},
		{again, scan.Complete, "", "", "COMPLETE The scan was completed successfully.", true},
		{never, scan.Failed, "the layer is broken", "", "FAILED the layer is broken", false},
		{again, scan.Failed, "the layer is broken", "", "FAILED the layer is broken", true},
		{never, scan.Unsupported, "", "", "UNSUPPORTED_IMAGE UnsupportedImageError: The operating system and/or package manager are not supported.", false},
		{never, scan.Unsupported, "it is a chart", "", "UNSUPPORTED_IMAGE UnsupportedImageError: it is a chart", false},
		{again, scan.Archived, "", "", "IMAGE_ARCHIVED The image is archived.", false},
		{never, scan.Pending, "", "CONTINUOUS_SCAN", "PENDING ", false},
		{again, scan.Pending, "", "CONTINUOUS_SCAN", "ACTIVE Continuous scan is selected for image.", true},
		{again, scan.Complete, "", "CONTINUOUS_SCAN", "ACTIVE Continuous scan is selected for image.", true},
		{again, scan.Failed, "no", "CONTINUOUS_SCAN", "FAILED no", true},
		{again, scan.Complete, "", "SCAN_ON_PUSH", "COMPLETE The scan was completed successfully.", true},
	} {
		f, s, d := newScannedFace(t)
		if test.frequency != "" {
			f.enhance(t, test.frequency)
		}
		test.scan.Status, test.scan.Reason = test.status, test.reason
		s.reports[d] = scan.Report{Scan: test.scan}
		described := f.do(t, "DescribeImages", members{"repositoryName": "rr"})["imageDetails"].([]any)[0].(map[string]any)
		found := f.do(t, "DescribeImageScanFindings", imageV1)
		for operation, got := range map[string]map[string]any{"DescribeImages": described, "DescribeImageScanFindings": found} {
			status, _ := got["imageScanStatus"].(map[string]any)
			text, _ := status["description"].(string)
			if got := fmt.Sprint(status["status"], " ", text); got != test.want {
				t.Errorf("%s %+v: %q, want %q", operation, test, got, test.want)
			}
		}
		if described["imageScanFindingsSummary"] != nil != test.findings || found["imageScanFindings"] != nil != test.findings {
			t.Errorf("%+v: findings %v and %v", test, described["imageScanFindingsSummary"], found["imageScanFindings"])
		}
	}
}

// TestScansOfImages: DescribeImages asks once for a page, and says nothing of what was never scanned.
func TestScansOfImages(t *testing.T) {
	f, s, d := newScannedFace(t, libc())
	for seed := range uint64(5) {
		f.push(t, "rr", registrytest.Recipe{Seed: seed + 2}.Image())
	}
	for name, in := range map[string]members{
		"all":  {"repositoryName": "rr"},
		"some": {"repositoryName": "rr", "imageIds": []any{members{"imageTag": "v1"}, members{"imageDigest": d}}},
	} {
		s.asked = 0
		scanned := 0
		for _, detail := range f.do(t, "DescribeImages", in)["imageDetails"].([]any) {
			detail := detail.(map[string]any)
			if detail["imageScanStatus"] == nil {
				continue
			}
			scanned++
			summary := fmt.Sprint(detail["imageScanFindingsSummary"].(map[string]any)["findingSeverityCounts"])
			if detail["imageDigest"] != string(d) || summary != "map[HIGH:1]" {
				t.Errorf("%s: %v", name, detail)
			}
		}
		if scanned != 1 || s.asked != 1 {
			t.Errorf("%s: %d images were scanned, and %d questions asked, want 1 and 1", name, scanned, s.asked)
		}
	}
}

// TestPagesOfFindings goes through pages of each size, and on after the finding that a token
// is of has gone and others have come.
func TestPagesOfFindings(t *testing.T) {
	const total = 250
	var all []scan.Finding
	for i := range total {
		found := hostile() // tokens hold what images say
		found.ID, found.Severity = fmt.Sprintf("CVE-2026-%04d", i%100), scan.Severities()[i%6]
		found.Package.Path = fmt.Sprint("node_modules/", i)
		all = append(all, found)
	}
	f, s, d := newScannedFace(t, all...)
	other := registrytest.Recipe{Seed: 2}.Image()
	f.push(t, "rr", other, "v2")
	s.reports[other.Digest] = s.reports[d]
	page := func(in members, token string) (names []string, next string) {
		t.Helper()
		in = maps.Clone(in)
		if token != "" {
			in["nextToken"] = token
		}
		got := f.do(t, "DescribeImageScanFindings", in)
		if got["failed"] != nil {
			t.Fatal(got)
		}
		for _, member := range []string{"findings", "enhancedFindings"} {
			list, _ := got["imageScanFindings"].(map[string]any)[member].([]any)
			for _, x := range list {
				name, _ := x.(map[string]any)["name"].(string)
				names = append(names, name)
			}
		}
		next, _ = got["nextToken"].(string)
		return names, next
	}
	for _, mode := range []string{"BASIC", "ENHANCED"} {
		if mode == "ENHANCED" {
			f.enhance(t, "SCAN_ON_PUSH")
		}
		for size, pages := range map[any]int{nil: 3, 1: total, 125: 2, 249: 2, 250: 1, 1000: 1} {
			in := maps.Clone(imageV1)
			if size != nil {
				in["maxResults"] = size
			}
			var names []string
			asked := 0
			for token := ""; ; {
				var some []string
				some, token = page(in, token)
				names = append(names, some...)
				if asked++; token == "" || asked > total {
					break
				}
			}
			if asked != pages || len(names) != total {
				t.Errorf("%s in pages of %v: %d findings in %d pages, want %d", mode, size, len(names), asked, pages)
			}
			for i, name := range names {
				if mode == "BASIC" && name != all[i].ID {
					t.Fatalf("in pages of %v: finding %d is %s, want %s", size, i, name, all[i].ID)
				}
			}
		}
	}

	// Between two pages the last finding of the first goes, one comes before it and one after.
	f.do(t, "PutRegistryScanningConfiguration", members{"scanType": "BASIC"})
	in := maps.Clone(imageV1)
	in["maxResults"] = 10
	_, token := page(in, "")
	before, after := all[9], all[9]
	before.Package.Path, after.Package.Path = "a", "z"
	before.ID, after.ID = "CVE-1999-0001", all[9].ID
	r := s.reports[d]
	r.Findings = append(slices.Delete(slices.Clone(all), 9, 10), before, after)
	scan.Sort(r.Findings)
	s.reports[d] = r
	in["maxResults"] = 1000
	rest, _ := page(in, token)
	if len(rest) != total-10+1 || rest[0] != after.ID {
		t.Errorf("%d findings follow, of which the first is %s; want %d and %s", len(rest), rest[0], total-10+1, after.ID)
	}

	for what, in := range map[string]members{
		"no token":           {"repositoryName": "rr", "imageId": members{"imageTag": "v1"}, "nextToken": "x"},
		"that of another":    {"repositoryName": "rr", "imageId": members{"imageTag": "v2"}, "nextToken": token},
		"that of other list": {"repositoryName": "rr", "imageId": members{"imageTag": "v1"}, "nextToken": "WyJhIiwiYiJd"},
	} {
		if got := f.do(t, "DescribeImageScanFindings", in); got["failed"] != "InvalidParameterException" {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func TestStartImageScan(t *testing.T) {
	f, s, d := newScannedFace(t)
	f.changes = nil
	got := f.do(t, "StartImageScan", imageV1)
	if got := fmt.Sprint(got); got != "map[imageId:map[imageDigest:"+string(d)+" imageTag:v1] imageScanStatus:map[description:no worker has taken it yet status:PENDING]"+
		" registryId:"+account+" repositoryName:rr]" {
		t.Error(got)
	}
	if len(f.changes) != 1 || !strings.Contains(f.changes[0], "ecr:StartImageScan rr") {
		t.Errorf("changes %q", f.changes)
	}
	named := "{imageDigest:'" + string(d) + "', imageTag:'v1'}"
	for _, test := range []struct {
		refuse    error
		exception string
		message   string
	}{
		{registry.ErrLimitExceeded.With("it was scanned an hour ago"), "LimitExceededException", "The scan quota per image has been exceeded. Wait and try again."},
		{scan.ErrUnsupportedImage, "UnsupportedImageTypeException", named},
		{fmt.Errorf("%w: it is a chart", scan.ErrUnsupportedImage), "UnsupportedImageTypeException", "it is a chart"},
		{scan.ErrArchived, "ImageArchivedException", named},
		{registry.ErrManifestUnknown, "ImageNotFoundException", "imageTag:'v1'"},
		{registry.ErrNameUnknown, "RepositoryNotFoundException", "'rr'"},
		{errors.New("the disk is on fire"), "ServerException", "request id"},
	} {
		s.refuse = test.refuse
		got := f.do(t, "StartImageScan", imageV1)
		if text, _ := got["message"].(string); got["failed"] != test.exception || !strings.Contains(text, test.message) {
			t.Errorf("%v: %v, want %s with %q", test.refuse, got, test.exception, test.message)
		}
	}
	s.refuse = nil
	if got := f.do(t, "StartImageScan", members{"repositoryName": "rr", "imageId": members{"imageTag": "v9"}}); got["failed"] != "ImageNotFoundException" {
		t.Errorf("of no image: %v", got)
	}
	f.enhance(t, "SCAN_ON_PUSH")
	if got := f.do(t, "StartImageScan", imageV1); got["failed"] != "ValidationException" || !strings.HasPrefix(got["message"].(string), "This feature is disabled") {
		t.Errorf("with enhanced scanning: %v", got)
	}
}

// TestNeverScanned: an image that was never scanned has no findings, which is not the same as none.
func TestNeverScanned(t *testing.T) {
	f, s, d := newScannedFace(t)
	delete(s.reports, d)
	for _, mode := range []string{"BASIC", "ENHANCED"} {
		if mode == "ENHANCED" {
			f.enhance(t, "CONTINUOUS_SCAN")
		}
		if got := f.do(t, "DescribeImageScanFindings", imageV1); got["failed"] != "ScanNotFoundException" {
			t.Errorf("%s: %v", mode, got)
		}
		detail := f.do(t, "DescribeImages", members{"repositoryName": "rr"})["imageDetails"].([]any)[0].(map[string]any)
		if detail["imageScanStatus"] != nil || detail["imageScanFindingsSummary"] != nil {
			t.Errorf("%s: %v", mode, detail)
		}
	}
	s.reports[d] = reportOf("rr", d)
	got := f.do(t, "DescribeImageScanFindings", imageV1)["imageScanFindings"].(map[string]any)
	if counts, ok := got["findingSeverityCounts"].(map[string]any); !ok || len(counts) != 0 {
		t.Errorf("a clean image: %v", got)
	}
	if list, ok := got["enhancedFindings"].([]any); !ok || len(list) != 0 {
		t.Errorf("a clean image: %v", got)
	}
}

func TestScanReadOnly(t *testing.T) {
	s := &scans{reports: map[digest.Digest]scan.Report{}}
	f := newFace(t, func(o *ecr.Options) { o.Scans, o.ReadOnly = s, true })
	f.push(t, "rr", registrytest.Recipe{Seed: 1}.Image(), "v1")
	if got := f.do(t, "StartImageScan", imageV1); got["failed"] != "ServiceUnavailable" || len(s.reports) > 0 {
		t.Errorf("%v", got)
	}
}

// TestScanWaiter: the SDK's waiter, which is also that of `aws ecr wait image-scan-complete`, ends when the scan does.
func TestScanWaiter(t *testing.T) {
	f, s, d := newScannedFace(t)
	var ends scan.Report
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 3 {
			s.reports[d] = ends
		}
		r.Header.Set("X-User", "admin")
		f.ServeHTTP(w, r)
	}))
	defer server.Close()
	client := sdk.New(sdk.Options{
		BaseEndpoint: &server.URL, Region: "eu-test-1", Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		}),
	})
	waiter := sdk.NewImageScanCompleteWaiter(client, func(o *sdk.ImageScanCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 2*time.Millisecond
	})
	in := &sdk.DescribeImageScanFindingsInput{RepositoryName: new("rr"), ImageId: &types.ImageIdentifier{ImageTag: new("v1")}}
	for status, want := range map[scan.Status]bool{scan.Complete: true, scan.Failed: false} {
		asked = 0
		s.reports[d] = scan.Report{Scan: scan.Scan{Status: scan.InProgress}}
		ends = reportOf("rr", d, libc(), hostile())
		ends.Status = status
		out, err := waiter.WaitForOutput(t.Context(), in, 10*time.Second)
		if err == nil != want || asked != 3 {
			t.Errorf("%s ends the waiter with %v after %d questions", status, err, asked)
		}
		if want && len(out.ImageScanFindings.Findings) != 2 {
			t.Errorf("%+v", out.ImageScanFindings)
		}
	}
}
