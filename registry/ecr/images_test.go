package ecr_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/registrytest"
)

// TestPullTime: BatchGetImage is a pull, unless by who does not count.
func TestPullTime(t *testing.T) {
	f := newFace(t)
	f.push(t, "rr", registrytest.Recipe{Seed: 1}.Image(), "v1")
	pulled := func() time.Time {
		t.Helper()
		f.do(t, "BatchGetImage", members{"repositoryName": "rr", "imageIds": []any{members{"imageTag": "v1"}}})
		stopped, stop := context.WithCancel(t.Context())
		stop()
		f.engine.RecordPulls(stopped)
		image, err := f.engine.Image(t.Context(), "rr", registry.ImageID{Tag: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		return image.LastPulledAt
	}
	admin := members{"principalArn": "arn:aws:iam::" + account + ":user/admin"}
	f.do(t, "RegisterPullTimeUpdateExclusion", admin)
	if at := pulled(); !at.IsZero() {
		t.Errorf("pulled at %v by who is excluded", at)
	}
	f.do(t, "DeregisterPullTimeUpdateExclusion", admin)
	if at := pulled(); time.Since(at) > time.Minute {
		t.Errorf("pulled at %v", at)
	}
}

// TestNamesOfImages: a message has null, in quotes, for what was not given.
func TestNamesOfImages(t *testing.T) {
	f := newFace(t)
	image := registrytest.Recipe{Seed: 1}.Image()
	f.push(t, "rr", image)
	d := string(image.Digest)
	for _, test := range []struct {
		operation string
		in        members
		want      string
	}{
		{
			"DescribeImages",
			members{"imageIds": []any{members{"imageTag": "v9"}}},
			"The image with imageId {imageDigest:'null', imageTag:'v9'} does not exist within the repository with name 'rr' in the registry with id '" + account + "'",
		},
		{
			"DescribeImageScanFindings",
			members{"imageId": members{"imageDigest": d}},
			"Image scan does not exist for the image with '{imageDigest:'" + d + "', imageTag:'null'}' in the repository with name 'rr' in the registry with id '" + account + "'",
		},
		{
			"PutImage",
			members{"imageManifest": string(image.Bytes), "imageManifestMediaType": image.MediaType},
			"Image with digest '" + d + "' and tag 'null' already exists in the repository with name 'rr' in registry with id '" + account + "'",
		},
	} {
		test.in["repositoryName"] = "rr"
		if got := f.do(t, test.operation, test.in); got["message"] != test.want {
			t.Errorf("%s: %v\nwant %s", test.operation, got["message"], test.want)
		}
	}
}

// TestTagsOfImage: an image that has as many tags as it can may be told one that it has.
func TestTagsOfImage(t *testing.T) {
	f := newFace(t)
	image := registrytest.Recipe{Seed: 1}.Image()
	var tags []registry.Tag
	for n := range 1000 {
		tags = append(tags, registry.Tag(fmt.Sprint("t", n)))
	}
	f.push(t, "rr", image, tags...)
	for tag, want := range map[registry.Tag]string{"new": "LimitExceededException", tags[7]: "ImageAlreadyExistsException"} {
		got := f.do(t, "PutImage", members{
			"repositoryName": "rr", "imageManifest": string(image.Bytes), "imageManifestMediaType": image.MediaType, "imageTag": tag,
		})
		if got["failed"] != want {
			t.Errorf("tag %s: %v, want %s", tag, got, want)
		}
	}
}
