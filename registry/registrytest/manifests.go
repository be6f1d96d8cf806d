package registrytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

func testManifestIsReadAsPushed(x *suite) {
	for _, r := range []Recipe{
		{Seed: 1},
		{Seed: 2, Docker: true},
		{Seed: 3, Algorithm: digest.SHA512},
		{Seed: 4, Layers: -1, ArtifactType: "application/vnd.example.thing", Annotations: map[string]string{"a": "b"}},
		{Seed: 5, Layers: 120},
	} {
		image := r.Image()
		x.putBlobs(repo, image)
		content, err := x.PutManifest(x.ctx, repo, image.Manifest, []registry.Tag{"latest"})
		x.want("PutManifest", err, nil)
		want, err := registry.ParseManifest(image.MediaType, image.Bytes)
		x.want("ParseManifest", err, nil)
		x.same("what PutManifest says of the manifest", content, want)
		x.wantManifest(repo, image.Reference(), image)
		x.wantManifest(repo, tagged("latest"), image)
	}
}

// testManifestOfAnyType pushes types that no registry has heard of.
func testManifestOfAnyType(x *suite) {
	layer := NewBlob(1, 100)
	x.putBlob(repo, layer)
	for _, m := range []struct{ header, body, kept string }{
		{"application/vnd.example.made-up+json", `{}`, "application/vnd.example.made-up+json"},
		{"application/vnd.example.made-up+json", " \r\n\t{ } \n", "application/vnd.example.made-up+json"},
		{"application/vnd.example.made-up+json; charset=utf-8", `{"a":1}`, "application/vnd.example.made-up+json"},
		{"application/vnd.example.made-up+json", fmt.Sprintf(`{"layers":[{"digest":%q,"size":100}]}`, layer.Digest), "application/vnd.example.made-up+json"},
		{"", `{"mediaType":"application/vnd.example.made-up+json"}`, "application/vnd.example.made-up+json"},
		{"", `{"schemaVersion":2,"manifests":[]}`, registry.MediaTypeImageIndex},
		{"application/json", fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,"size":100},"layers":[]}`, layer.Digest), registry.MediaTypeImageManifest},
		{registry.MediaTypeImageIndex, `{"schemaVersion":2}`, registry.MediaTypeImageIndex},
	} {
		image := Image{Manifest: registry.Manifest{MediaType: m.header, Digest: digest.FromString(m.body), Bytes: []byte(m.body)}}
		x.push(repo, image, "any")
		image.MediaType = m.kept
		x.wantManifest(repo, tagged("any"), image)
	}
}

func testManifestIsUnknown(x *suite) {
	image := Recipe{Seed: 1}.Image()
	for _, ref := range []registry.Reference{tagged("latest"), image.Reference()} {
		x.wantNoManifest(repo, ref, registry.ErrNameUnknown)
	}
	x.push(repo, image, "latest")
	x.push("other", Recipe{Seed: 2}.Image(), "other")
	for _, ref := range []registry.Reference{tagged("latest"), image.Reference(), {Digest: image.Blobs[0].Digest}} {
		x.wantNoManifest("other", ref, registry.ErrManifestUnknown)
	}
	x.wantNoManifest(repo, tagged("Latest"), registry.ErrManifestUnknown)
	x.wantNoManifest(repo, registry.Reference{Digest: image.Blobs[0].Digest}, registry.ErrManifestUnknown)
	x.wantNoBlob(repo, Blob{Descriptor: image.Descriptor()}, registry.ErrBlobUnknown)
}

func testManifestAgain(x *suite) {
	image := Recipe{Seed: 1}.Image()
	for _, tag := range []registry.Tag{"one", "two", "one"} {
		x.push(repo, image, tag)
		x.push("other", image, tag)
	}
	x.push(repo, image)
	x.wantTags(repo, "one", "two")
	x.wantManifest("other", tagged("two"), image)
}

func testManifestNeedsWhatItNames(x *suite) {
	image := Recipe{Seed: 1}.Image()
	refuse := func(i Image) {
		x.Helper()
		_, err := x.PutManifest(x.ctx, repo, i.Manifest, []registry.Tag{"latest"})
		x.want("PutManifest with something missing", err, registry.ErrManifestBlobUnknown)
	}
	refuse(image)
	names, err := x.Repositories(x.ctx, "", 10)
	x.want("Repositories", err, nil)
	x.same("repositories after a refused manifest", len(names), 0)
	for _, b := range image.Blobs {
		x.putBlob("other", b) // is of no help here
		refuse(image)
		x.wantNoManifest(repo, tagged("latest"), missingKind(x, b))
		x.putBlob(repo, b)
	}
	index := Recipe{}.Index(image)
	refuse(index)
	x.push(repo, image, "latest")
	x.push(repo, index, "index")
	nested := Recipe{Seed: 2}.Index(index, Recipe{Seed: 3}.Image())
	refuse(nested)
	x.push(repo, nested)
	x.wantManifest(repo, nested.Reference(), nested)
	x.wantTags(repo, "index", "latest")
}

// missingKind is what a manifest is in repo, which is there once a blob is.
func missingKind(x *suite, first Blob) error {
	if _, err := x.StatBlob(x.ctx, repo, first.Digest); errors.Is(err, registry.ErrNameUnknown) {
		return registry.ErrNameUnknown
	}
	return registry.ErrManifestUnknown
}

// testManifestOfForeignLayers pushes images whose layers are fetched elsewhere.
func testManifestOfForeignLayers(x *suite) {
	for i, change := range []func(*registry.Descriptor){
		func(d *registry.Descriptor) { d.URLs = []string{"https://example.com/layer"} },
		func(d *registry.Descriptor) {
			d.MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
		},
		func(d *registry.Descriptor) {
			d.MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		},
	} {
		image := foreign(Recipe{Seed: uint64(i + 1), Layers: 3}, change)
		_, err := x.PutManifest(x.ctx, repo, image.Manifest, nil)
		x.want("PutManifest without its other layers", err, registry.ErrManifestBlobUnknown)
		x.push(repo, image)
		x.wantManifest(repo, image.Reference(), image)
	}
}

// foreign is an image whose last layer is changed and not pushed.
func foreign(r Recipe, change func(*registry.Descriptor)) Image {
	image := r.Image()
	content, err := registry.ParseManifest(image.MediaType, image.Bytes)
	if err != nil {
		panic(err)
	}
	last := len(content.Layers) - 1
	change(&content.Layers[last])
	changed := r.encode(image.MediaType, map[string]any{
		"schemaVersion": 2, "mediaType": image.MediaType, "config": content.Config, "layers": content.Layers,
	})
	changed.Blobs = image.Blobs[:last+1] // the config is the first
	return changed
}

func testManifestRefused(x *suite) {
	image := Recipe{Seed: 1}.Image()
	x.push(repo, image, "latest")
	x.putBlob(repo, NewBlob(7, 10))
	for body, kind := range map[string]error{
		``:                    registry.ErrManifestInvalid,
		`no JSON`:             registry.ErrManifestInvalid,
		`[]`:                  registry.ErrManifestInvalid,
		`{"schemaVersion":1}`: registry.ErrManifestInvalid,
		`{"schemaVersion":2,"config":{"digest":"sha256:abc"}}`:                                     registry.ErrManifestInvalid,
		`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`: registry.ErrManifestInvalid,
		`{"schemaVersion":2}`:                         registry.ErrManifestInvalid,
		strings.Repeat(`{"a":`, 100_000):              registry.ErrManifestInvalid,
		string(NewBlob(7, 10).Bytes):                  registry.ErrManifestInvalid,
		strings.Repeat(" ", registry.MaxManifestSize): registry.ErrManifestInvalid,
	} {
		m := registry.Manifest{MediaType: registry.MediaTypeImageManifest, Digest: digest.FromString(body), Bytes: []byte(body)}
		_, err := x.PutManifest(x.ctx, repo, m, []registry.Tag{"latest", "new"})
		x.want("PutManifest of "+clip(body), err, kind)
		x.wantNoManifest(repo, registry.Reference{Digest: m.Digest}, registry.ErrManifestUnknown)
	}
	wrong := image.Manifest
	wrong.Digest = digest.FromString("something else")
	_, err := x.PutManifest(x.ctx, repo, wrong, []registry.Tag{"latest"})
	x.want("PutManifest with the digest of something else", err, registry.ErrDigestInvalid)
	x.wantManifest(repo, tagged("latest"), image)
	x.wantTags(repo, "latest")
}

func clip(s string) string {
	return fmt.Sprintf("%q", s[:min(len(s), 60)])
}

func testManifestSize(x *suite) {
	image := Recipe{Seed: 1, Annotations: map[string]string{"a": ""}}.Image()
	x.putBlobs(repo, image)
	for size, kind := range map[int]error{
		registry.MaxManifestSize - 1: nil,
		registry.MaxManifestSize:     nil,
		registry.MaxManifestSize + 1: registry.ErrManifestTooLarge,
	} {
		b := bytes.Replace(image.Bytes, []byte(`"a": ""`), []byte(`"a": "`+strings.Repeat("x", size-len(image.Bytes))+`"`), 1)
		if len(b) != size || !json.Valid(b) {
			x.Fatalf("made a manifest of %d bytes, want %d", len(b), size)
		}
		big := Image{Manifest: registry.Manifest{MediaType: image.MediaType, Digest: digest.FromBytes(b), Bytes: b}}
		_, err := x.PutManifest(x.ctx, repo, big.Manifest, nil)
		x.want(fmt.Sprintf("PutManifest of %d bytes", size), err, kind)
		if kind == nil {
			x.wantManifest(repo, big.Reference(), big)
		}
	}
}

func testIndexOfManifests(x *suite) {
	for _, docker := range []bool{false, true} {
		index := Recipe{Docker: docker}.Index(Recipe{Seed: 1, Docker: docker}.Image(), Recipe{Seed: 2, Docker: docker}.Image())
		x.push(repo, index, "latest")
		x.wantManifest(repo, tagged("latest"), index)
		for _, child := range index.Children {
			x.wantManifest(repo, child.Reference(), child)
		}
	}
}

// testIndexOfBlobs pushes what BuildKit exports a cache as.
func testIndexOfBlobs(x *suite) {
	cache := Recipe{Seed: 1}.Cache()
	_, err := x.PutManifest(x.ctx, repo, cache.Manifest, nil)
	x.want("PutManifest without the blobs", err, registry.ErrManifestBlobUnknown)
	x.push(repo, cache, "cache")
	x.wantManifest(repo, tagged("cache"), cache)
	for _, b := range cache.Blobs {
		x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, b.Digest), registry.ErrBlobReferenced)
	}
	x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, cache.Digest), nil)
	for _, b := range cache.Blobs {
		x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, b.Digest), nil)
	}
}

func testTagsAllOrNone(x *suite) {
	before, after := Recipe{Seed: 1}.Image(), Recipe{Seed: 2}.Image()
	x.push(repo, before, "a", "b")
	_, err := x.PutManifest(x.ctx, repo, after.Manifest, []registry.Tag{"b", "c"})
	x.want("PutManifest with something missing", err, registry.ErrManifestBlobUnknown)
	x.wantTags(repo, "a", "b")
	x.wantManifest(repo, tagged("b"), before)

	var many []registry.Tag
	for i := range 50 {
		many = append(many, registry.Tag(fmt.Sprintf("t%02d", i)))
	}
	x.push(repo, after, append(many, "b", "b")...)
	x.wantTags(repo, append([]registry.Tag{"a", "b"}, many...)...)
	x.wantManifest(repo, tagged("a"), before)
	x.wantManifest(repo, tagged("b"), after)
	x.wantManifest(repo, tagged("t49"), after)
}

func testTagMoves(x *suite) {
	images := []Image{Recipe{Seed: 1}.Image(), Recipe{Seed: 2}.Image(), Recipe{Seed: 1}.Image()}
	for _, image := range images {
		x.push(repo, image, "latest")
		x.wantManifest(repo, tagged("latest"), image)
	}
	for _, image := range images { // also those that have no tag any more
		x.wantManifest(repo, image.Reference(), image)
	}
}
