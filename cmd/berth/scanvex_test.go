package main

import (
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// TestStrayVEX tells documents that count for nothing from those that are about an image by way of
// an index.
func TestStrayVEX(t *testing.T) {
	ctx := t.Context()
	db, err := meta.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "berth.db"), meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
	image := registrytest.Recipe{Seed: 1}.Image()
	index := registrytest.Recipe{}.Index(image)
	for _, i := range []registrytest.Image{image, index} {
		for _, b := range i.Blobs {
			if _, err := e.PutBlob(ctx, "team/app", b.Chunk(), b.Digest); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.PutManifest(ctx, "team/app", i.Manifest, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name           string
		beside, naming digest.Digest
		stray          bool
	}{
		{"of the image, beside it", image.Digest, image.Digest, false},
		{"of the image, beside the index", index.Digest, image.Digest, false},
		{"of the index, beside the image", image.Digest, index.Digest, false},
		{"of another image", image.Digest, digest.FromString("another"), true},
		{"of another image, beside the index", index.Digest, digest.FromString("another"), true},
		{"of one that is gone", digest.FromString("gone"), image.Digest, true},
	} {
		x := scan.VEXDocument{Subject: test.beside, Statements: []scan.VEXStatement{{
			Vulnerabilities: []string{"CVE-1"}, Status: scan.VEXFixed, Products: []scan.VEXProduct{{Names: []string{test.naming.String()}}},
		}}}
		why, err := strayVEX(ctx, db, "team/app", x)
		if err != nil || (why != "") != test.stray {
			t.Errorf("%s: %q, %v", test.name, why, err)
		}
	}
}
