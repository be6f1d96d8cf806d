package ecr_test

import (
	"strings"
	"testing"

	"berth/registry/ecr"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/scantest"
)

// TestGatedImage: an image that a gate blocks is a failure among the others, with the reason.
func TestGatedImage(t *testing.T) {
	var opts ecr.Options
	f := newFace(t, func(o *ecr.Options) { opts = *o })
	ctx := t.Context()
	good, bad := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
	f.push(t, "rr", good, "good")
	f.push(t, "rr", bad, "bad")
	found := scan.Finding{ID: "CVE-1", Severity: scan.Critical, Package: scan.Package{Name: "openssl"}, Installed: "1", Fixed: "2"}
	if err := scantest.Find(ctx, f.db, "rr", bad.Digest, found); err != nil {
		t.Fatal(err)
	}
	if err := f.db.PutGate(ctx, scan.Gate{Repository: "rr", Mode: scan.Block, Severity: scan.High}); err != nil {
		t.Fatal(err)
	}
	f.Server = ecr.New(scan.Gated(f.engine, scan.NewGatekeeper(f.db, nil), nil), f.engine, opts)
	out := f.do(t, "BatchGetImage", members{"repositoryName": "rr", "imageIds": []any{
		members{"imageTag": "good"}, members{"imageTag": "bad"}, members{"imageDigest": string(bad.Digest)}, members{"imageTag": "none"},
	}})
	if images := out["images"].([]any); len(images) != 1 || images[0].(map[string]any)["imageId"].(map[string]any)["imageTag"] != "good" {
		t.Errorf("the images are %v", images)
	}
	failures := out["failures"].([]any)
	if len(failures) != 3 {
		t.Fatalf("the failures are %v", failures)
	}
	for i, want := range []string{"ImageInaccessible", "ImageInaccessible", "ImageNotFound"} {
		failure := failures[i].(map[string]any)
		if failure["failureCode"] != want {
			t.Errorf("failure %d is %v; want %s", i, failure, want)
		}
		if reason := failure["failureReason"].(string); i < 2 && !strings.Contains(reason, "CVE-1 (CRITICAL) in openssl 1, fixed in 2") {
			t.Errorf("failure %d has the reason %q", i, reason)
		}
	}
	// It can be described all the same.
	f.do(t, "DescribeImages", members{"repositoryName": "rr", "imageIds": []any{members{"imageTag": "bad"}}})
}
