package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSameStorage(t *testing.T) {
	dir := t.TempDir()
	blobs, link := filepath.Join(dir, "blobs"), filepath.Join(dir, "link")
	if err := os.Mkdir(blobs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(blobs, link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"fs:" + blobs, "fs:" + blobs + "/", true},
		{"fs:" + blobs, "fs:" + link, true},
		{"fs:" + blobs, "fs:" + dir, false},
		{"fs:" + blobs, "fs:" + dir + "/other", false},
		{"fs:" + dir + "/other", "fs:" + dir + "/x/../other", true}, // neither is there
		{"fs:" + blobs, "s3://blobs", false},
		{"s3://images/prod", "s3://images/prod/", true},
		{"s3://images/prod", "s3://images/dev", false},
		{"s3://images", "s3://K:S@images?region=eu-west-1", true},
		{"s3://images?endpoint=https://s3.example.com", "s3://images?endpoint=s3.example.com", true},
		{"s3://images?endpoint=https://s3.example.com", "s3://images?endpoint=https://S3.example.com:443/", true},
		{"s3://images?endpoint=https://s3.example.com", "s3://images?endpoint=https://s3.example.com:9000", false},
		{"s3://images", "s3://images?endpoint=https://s3.eu-west-1.amazonaws.com", true},
		{"s3://images", "s3://images?endpoint=https://s3.example.com", false},
	} {
		if sameStorage(test.a, test.b) != test.same || sameStorage(test.b, test.a) != test.same {
			t.Errorf("%s and %s: same is not %v", test.a, test.b, test.same)
		}
	}
}
