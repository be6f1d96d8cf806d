package ecr_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"berth/registry/registrytest"
	"berth/scan"
)

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
