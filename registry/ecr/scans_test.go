package ecr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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
