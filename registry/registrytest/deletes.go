package registrytest

import (
	"github.com/opencontainers/go-digest"

	"berth/registry"
)

func testDeleteTag(x *suite) {
	x.want("DeleteTag", x.DeleteTag(x.ctx, repo, "a"), registry.ErrNameUnknown)
	image := Recipe{Seed: 1}.Image()
	x.push(repo, image, "a", "b")
	x.want("DeleteTag", x.DeleteTag(x.ctx, repo, "a"), nil)
	x.wantNoManifest(repo, tagged("a"), registry.ErrManifestUnknown)
	x.want("DeleteTag again", x.DeleteTag(x.ctx, repo, "a"), registry.ErrManifestUnknown)
	x.wantTags(repo, "b")
	x.want("DeleteTag of the last", x.DeleteTag(x.ctx, repo, "b"), nil)
	x.wantTags(repo)
	x.wantManifest(repo, image.Reference(), image)
	x.push(repo, image, "a")
	x.wantManifest(repo, tagged("a"), image)
}

func testDeleteManifest(x *suite) {
	image, other := Recipe{Seed: 1}.Image(), Recipe{Seed: 2}.Image()
	x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, image.Digest), registry.ErrNameUnknown)
	x.push(repo, image, "a", "b")
	x.push(repo, other, "c")
	x.push("other", image, "a")
	x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, image.Digest), nil)
	for _, ref := range []registry.Reference{image.Reference(), tagged("a"), tagged("b")} {
		x.wantNoManifest(repo, ref, registry.ErrManifestUnknown)
	}
	x.wantTags(repo, "c")
	x.want("DeleteManifest again", x.DeleteManifest(x.ctx, repo, image.Digest), registry.ErrManifestUnknown)
	x.want("DeleteManifest of a blob", x.DeleteManifest(x.ctx, repo, image.Blobs[0].Digest), registry.ErrManifestUnknown)
	x.wantManifest("other", tagged("a"), image)
	x.wantManifest(repo, tagged("c"), other)
	for _, b := range image.Blobs {
		x.wantBlob(repo, b) // nobody has asked for them to go
	}
}

func testDeleteManifestOfIndex(x *suite) {
	image := Recipe{Seed: 1}.Image()
	one, two := Recipe{}.Index(image), Recipe{Docker: true}.Index(image, Recipe{Seed: 2}.Image())
	outer := Recipe{}.Index(one)
	x.push(repo, outer, "outer")
	x.push(repo, two, "two")
	x.push("other", image)
	x.want("DeleteManifest in another repository", x.DeleteManifest(x.ctx, "other", image.Digest), nil)

	refused := func(i Image) {
		x.Helper()
		x.want("DeleteManifest of what an index lists", x.DeleteManifest(x.ctx, repo, i.Digest), registry.ErrManifestReferenced)
		x.wantManifest(repo, i.Reference(), i)
	}
	refused(one)
	refused(image)
	x.want("DeleteManifest of the outer index", x.DeleteManifest(x.ctx, repo, outer.Digest), nil)
	x.want("DeleteManifest of the first index", x.DeleteManifest(x.ctx, repo, one.Digest), nil)
	refused(image)
	x.want("DeleteManifest of the second index", x.DeleteManifest(x.ctx, repo, two.Digest), nil)
	x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, image.Digest), nil)
	x.wantTags(repo)
}

func testDeleteManifestSharingBlobs(x *suite) {
	image := Recipe{Seed: 1}.Image()
	same := Recipe{Seed: 1, Annotations: map[string]string{"other": "manifest"}}.Image()
	x.push(repo, image)
	x.push(repo, same)
	x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, image.Digest), nil)
	for _, b := range same.Blobs {
		x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, b.Digest), registry.ErrBlobReferenced)
		x.wantBlob(repo, b)
	}
	x.wantManifest(repo, same.Reference(), same)
}

func testDeleteBlob(x *suite) {
	image, lone := Recipe{Seed: 1}.Image(), NewBlob(9, 100)
	x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, lone.Digest), registry.ErrNameUnknown)
	x.push(repo, image)
	for _, r := range []registry.Name{repo, "other"} {
		x.putBlob(r, lone)
		for _, b := range image.Blobs {
			x.putBlob(r, b)
		}
	}
	x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, lone.Digest), nil)
	x.wantNoBlob(repo, lone, registry.ErrBlobUnknown)
	x.wantBlob("other", lone)
	x.want("DeleteBlob again", x.DeleteBlob(x.ctx, repo, lone.Digest), registry.ErrBlobUnknown)
	x.want("DeleteBlob by another algorithm", x.DeleteBlob(x.ctx, "other", lone.In(digest.SHA512).Digest), registry.ErrBlobUnknown)
	x.want("DeleteBlob of a manifest", x.DeleteBlob(x.ctx, repo, image.Digest), registry.ErrBlobUnknown)
	for _, b := range image.Blobs {
		x.want("DeleteBlob of what a manifest names", x.DeleteBlob(x.ctx, repo, b.Digest), registry.ErrBlobReferenced)
		x.wantBlob(repo, b)
		x.want("DeleteBlob where no manifest names it", x.DeleteBlob(x.ctx, "other", b.Digest), nil)
	}
	x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, image.Digest), nil)
	for _, b := range image.Blobs {
		x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, b.Digest), nil)
		x.wantNoBlob(repo, b, registry.ErrBlobUnknown)
	}
}

func testDeleteAndPushAgain(x *suite) {
	image := Recipe{Seed: 1}.Image()
	for range 3 {
		x.push(repo, image, "latest")
		x.wantManifest(repo, tagged("latest"), image)
		for _, b := range image.Blobs {
			x.wantBlob(repo, b)
		}
		x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, image.Digest), nil)
		for _, b := range image.Blobs {
			x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, b.Digest), nil)
		}
		_, err := x.PutManifest(x.ctx, repo, image.Manifest, nil)
		x.want("PutManifest after its blobs are gone", err, registry.ErrManifestBlobUnknown)
	}
}
