package ecr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	do(t, c.StartImageScan, start(one)) // one that has failed can be had again at once

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
