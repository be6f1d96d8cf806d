package ecr_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"berth/registry"
)

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
