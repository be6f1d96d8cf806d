package ecr_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// reference is an image that a cluster runs.
func reference(host, repo string, n int) string {
	return fmt.Sprintf("%s%s@%s", host, repo, digest.FromString(fmt.Sprint(n)))
}

func TestRunningImages(t *testing.T) {
	f := newFace(t)
	mine := []any{
		reference("another.name/", "team/app", 1), reference("", "team/app", 2),
		reference("docker-pullable://registry.test:5000/", "team/app:v1", 3), reference("", "team/app", 2),
	}
	others := []any{
		reference("docker.io/", "Library/alpine", 1), "sha256:" + strings.Repeat("a", 64), "team/app:v1", "", "a/../x@" + string(digest.FromString("x")),
	}
	got := f.do(t, "PutRunningImages", members{"clusterName": "prod", "images": append(mine, others...)})
	if got["imageCount"] != 3.0 || got["ignoredCount"] != 5.0 || got["reportedAt"] == 0.0 {
		t.Errorf("of 3 images, one twice, and 5 others: %v", got)
	}
	running := func(cluster string) []any {
		t.Helper()
		var all []any
		for token := ""; ; {
			in := members{"clusterName": cluster, "maxResults": 2}
			if token != "" {
				in["nextToken"] = token
			}
			got := f.do(t, "ListRunningImages", in)
			all = append(all, got["images"].([]any)...)
			if token, _ = got["nextToken"].(string); token == "" {
				return all
			}
		}
	}
	if got := running("prod"); len(got) != 3 {
		t.Errorf("prod runs %v", got)
	}

	// What comes next replaces it.
	f.do(t, "PutRunningImages", members{"clusterName": "prod", "images": []any{reference("", "team/app", 3), reference("", "team/web", 4)}})
	if got := running("prod"); len(got) != 2 || got[0] != reference("", "team/app", 3) || got[1] != reference("", "team/web", 4) {
		t.Errorf("prod runs %v", got)
	}
	f.do(t, "PutRunningImages", members{"clusterName": "test", "images": []any{}})
	if got := running("test"); len(got) != 0 {
		t.Errorf("test runs %v", got)
	}
	page := f.do(t, "ListClusters", members{"maxResults": 1})
	if token, _ := page["nextToken"].(string); len(page["clusters"].([]any)) != 1 || token == "" {
		t.Errorf("the first page of clusters is %v", page)
	}
	if got := f.do(t, "ListClusters", members{})["clusters"].([]any); len(got) != 2 {
		t.Errorf("clusters: %v", got)
	}

	f.do(t, "DeleteCluster", members{"clusterName": "prod"})
	for _, operation := range []string{"DeleteCluster", "ListRunningImages"} {
		if got := f.do(t, operation, members{"clusterName": "prod"}); got["failed"] != "ClusterNotFoundException" {
			t.Errorf("%s of a cluster that is gone: %v", operation, got)
		}
	}
	for _, name := range []string{"", "-prod", "a b", strings.Repeat("a", 65)} {
		if got := f.do(t, "PutRunningImages", members{"clusterName": name, "images": []any{}}); got["failed"] != "InvalidParameterException" {
			t.Errorf("a cluster called %q: %v", name, got)
		}
	}
	if status, got, _ := f.raw("mallory", "PutRunningImages", []byte(`{"clusterName":"prod","images":[]}`)); got["__type"] != "AccessDeniedException" {
		t.Errorf("mallory is answered %d %v", status, got)
	}
}
