package ecr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"berth/conformance/internal/server"
)

// TestScans starts scans where nothing scans yet, and then is the scanner itself.
func TestScans(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	one, other := push(t, c, repo, "one"), push(t, c, repo, "other")
	index := pushIndex(t, c, repo, "all", other)
	sbom := pushBlobs(t, c, repo, &one)
	put(t, c, repo, sbom, "sbom")
	start := func(x image) *sdk.StartImageScanInput {
		return &sdk.StartImageScanInput{RepositoryName: repo, ImageId: new(x.id())}
	}
	describe := &sdk.DescribeImageScanFindingsInput{RepositoryName: repo, ImageId: new(one.id())}
	summary := func(x image) types.ImageDetail {
		t.Helper()
		return do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{x.id()}}).ImageDetails[0]
	}

	refused[*types.ScanNotFoundException](t, c.DescribeImageScanFindings, describe,
		fmt.Sprintf("Image scan does not exist for the image with '{imageDigest:'%s', imageTag:'null'}' in the repository with name '%s' in the registry with id '%s'", one.digest, *repo, account))
	if d := summary(one); d.ImageScanStatus != nil || d.ImageScanFindingsSummary != nil {
		t.Errorf("what was never scanned is described as %+v", d)
	}
	begun := do(t, c.StartImageScan, start(one))
	if begun.ImageScanStatus.Status != types.ScanStatusPending || *begun.ImageScanStatus.Description == "" || *begun.ImageId.ImageDigest != one.digest || *begun.RegistryId != account {
		t.Errorf("%+v", begun)
	}
	if out := do(t, c.DescribeImageScanFindings, describe); out.ImageScanStatus.Status != types.ScanStatusPending || out.ImageScanFindings != nil {
		t.Errorf("%+v", out)
	}
	if d := summary(one); d.ImageScanStatus == nil || d.ImageScanStatus.Status != types.ScanStatusPending || d.ImageScanFindingsSummary != nil {
		t.Errorf("what waits for its scan is described as %+v", d)
	}
	refused[*types.LimitExceededException](t, c.StartImageScan, start(one), "The scan quota per image has been exceeded. Wait and try again.")
	refused[*types.UnsupportedImageTypeException](t, c.StartImageScan, start(sbom), "")

	do(t, c.PutRegistryScanningConfiguration, &sdk.PutRegistryScanningConfigurationInput{ScanType: "ENHANCED"})
	refused[*types.ValidationException](t, c.StartImageScan, start(other), "")
	do(t, c.PutRegistryScanningConfiguration, &sdk.PutRegistryScanningConfigurationInput{ScanType: "BASIC"})

	// A scanner that cannot read the image, and says so.
	var j struct {
		ID                        int64
		Lease, Repository, Digest string
		Match                     bool
	}
	if status := scanner(t, http.MethodPost, "lease", "", map[string]any{"worker": "TestScans"}, &j); status != http.StatusOK {
		t.Fatalf("a scanner that asks for a job is answered %d", status)
	}
	if j.Repository != *repo || j.Digest != one.digest || j.Match {
		t.Fatalf("the job is %+v", j)
	}
	if out := do(t, c.DescribeImageScanFindings, describe); out.ImageScanStatus.Status != types.ScanStatusInProgress {
		t.Errorf("%+v", out)
	}
	job := fmt.Sprintf("jobs/%d/", j.ID)
	if status := scanner(t, http.MethodPut, job+"result", j.Lease, map[string]any{"digest": other.digest}, nil); status != http.StatusUnprocessableEntity {
		t.Errorf("a result about another image is answered %d", status)
	}
	failed := map[string]any{"reason": "the layer <b>is</b> no tar", "permanent": true}
	if status := scanner(t, http.MethodPost, job+"failure", "made-up", failed, nil); status != http.StatusConflict {
		t.Errorf("a scanner without a lease is answered %d", status)
	}
	if status := scanner(t, http.MethodPost, job+"failure", j.Lease, failed, nil); status != http.StatusNoContent {
		t.Fatalf("a scanner that fails is answered %d", status)
	}
	if out := do(t, c.DescribeImageScanFindings, describe); out.ImageScanStatus.Status != types.ScanStatusFailed || !strings.Contains(*out.ImageScanStatus.Description, "the layer <b>is</b> no tar") {
		t.Errorf("%+v", out.ImageScanStatus)
	}
	waiter := sdk.NewImageScanCompleteWaiter(c, func(o *sdk.ImageScanCompleteWaiterOptions) { o.MinDelay = time.Millisecond })
	if err := waiter.Wait(t.Context(), describe, 10*time.Second); err == nil || !strings.Contains(err.Error(), "Failure") {
		t.Errorf("the waiter ends with %v", err)
	}

	// One that has failed can be had again at once. What comes out of images stays text.
	do(t, c.StartImageScan, start(one))
	if status := scanner(t, http.MethodPost, "lease", "", map[string]any{"worker": "TestScans"}, &j); status != http.StatusOK || j.Digest != one.digest {
		t.Fatalf("a scanner that asks for a job is answered %d %+v", status, j)
	}
	hostile := "<b>lib</b>\x00\x1b[31m"
	result := map[string]any{
		"digest": one.digest, "scanner": "trivy 0.72.0", "os": "debian 12.5", "packages": 2, "database": digestOf([]byte("database")),
		"inventory": map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1},
		"findings": []any{
			map[string]any{"id": "CVE-2026-0002", "severity": "LOW", "installed": "1.0", "package": map[string]any{"name": hostile, "type": "npm"}},
			map[string]any{"id": "CVE-2026-0001", "severity": "HIGH", "installed": "1:2-3", "fixed": "2-4", "package": map[string]any{"name": "libc6", "type": "debian", "os": true}},
		},
	}
	if status := scanner(t, http.MethodPut, fmt.Sprintf("jobs/%d/result", j.ID), j.Lease, result, nil); status != http.StatusNoContent {
		t.Fatalf("a scanner that is done is answered %d", status)
	}
	if err := waiter.Wait(t.Context(), describe, 10*time.Second); err != nil {
		t.Errorf("the waiter ends with %v", err)
	}
	if d := summary(one); d.ImageScanStatus.Status != types.ScanStatusComplete || fmt.Sprint(d.ImageScanFindingsSummary.FindingSeverityCounts) != "map[HIGH:1 LOW:1]" {
		t.Errorf("%+v", d)
	}
	pages := sdk.NewDescribeImageScanFindingsPaginator(c, &sdk.DescribeImageScanFindingsInput{RepositoryName: repo, ImageId: new(tagged("one")), MaxResults: new(int32(1))})
	var found []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.ImageScanFindings.Findings {
			for _, a := range f.Attributes {
				if *a.Key == "package_name" {
					found = append(found, fmt.Sprint(*f.Name, " ", f.Severity, " ", *a.Value))
				}
			}
		}
	}
	if want := []string{"CVE-2026-0001 HIGH libc6", "CVE-2026-0002 LOW " + hostile}; !slices.Equal(found, want) {
		t.Errorf("findings %q, want %q", found, want)
	}
	do(t, c.PutRegistryScanningConfiguration, &sdk.PutRegistryScanningConfigurationInput{ScanType: "ENHANCED", Rules: []types.RegistryScanningRule{{
		ScanFrequency: "CONTINUOUS_SCAN", RepositoryFilters: []types.ScanningRepositoryFilter{{Filter: repo, FilterType: "WILDCARD"}},
	}}})
	out := do(t, c.DescribeImageScanFindings, describe)
	if f := out.ImageScanFindings.EnhancedFindings; out.ImageScanStatus.Status != types.ScanStatusActive || len(f) != 2 || len(out.ImageScanFindings.Findings) != 0 ||
		*f[0].PackageVulnerabilityDetails.VulnerablePackages[0].FixedInVersion != "2-4" || *f[1].PackageVulnerabilityDetails.VulnerablePackages[0].Name != hostile ||
		*f[0].Resources[0].Details.AwsEcrContainerImage.ImageHash != one.digest || f[0].FirstObservedAt == nil {
		t.Errorf("%+v %+v", out.ImageScanStatus, f)
	}
	do(t, c.PutRegistryScanningConfiguration, &sdk.PutRegistryScanningConfigurationInput{ScanType: "BASIC"})

	// An index is scanned image by image; an archived image is not.
	if out := do(t, c.StartImageScan, start(index)); out.ImageScanStatus.Status != types.ScanStatusPending {
		t.Errorf("%+v", out)
	}
	do(t, c.UpdateImageStorageClass, &sdk.UpdateImageStorageClassInput{RepositoryName: repo, ImageId: new(index.id()), TargetStorageClass: "ARCHIVE"})
	refused[*types.ImageArchivedException](t, c.StartImageScan, start(index), "")
	if out := do(t, c.DescribeImageScanFindings, &sdk.DescribeImageScanFindingsInput{RepositoryName: repo, ImageId: new(index.id())}); out.ImageScanStatus.Status != types.ScanStatusImageArchived {
		t.Errorf("%+v", out.ImageScanStatus)
	}
}

// scanner asks what scanners ask, as the administrator, and reads the answer into out.
func scanner(t *testing.T, method, path, lease string, in, out any) int {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target.url+"/scanner/"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(server.User, server.Password)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Berth-Lease", lease)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && out != nil && answer.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return answer.StatusCode
}
