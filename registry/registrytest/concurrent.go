package registrytest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"berth/registry"
)

const writers = 8

// atOnce calls do from many goroutines and returns their errors.
func atOnce(do func(i int) error) []error {
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	return errs
}

func (x *suite) wantAll(what string, errs []error) {
	x.Helper()
	for _, err := range errs {
		x.want(what, err, nil)
	}
}

func testSameBlobAtOnce(x *suite) {
	for round := range 4 {
		b := NewBlob(uint64(round), sizes[round%2])
		x.wantAll("PutBlob", atOnce(func(i int) error {
			into := registry.Name(fmt.Sprintf("team/app%d", i%2))
			if i%4 > 1 {
				_, err := x.PutBlob(x.ctx, into, b.Chunk(), b.Digest)
				return err
			}
			u, err := x.StartUpload(x.ctx, into, b.Digest.Algorithm())
			if err != nil {
				return err
			}
			_, err = x.FinishUpload(x.ctx, into, u.ID, b.Chunk(), b.Digest)
			return err
		}))
		x.wantBlob("team/app0", b)
		x.wantBlob("team/app1", b)
	}
}

func testSameManifestAtOnce(x *suite) {
	image := Recipe{Seed: 1}.Image()
	x.putBlobs(repo, image)
	x.wantAll("PutManifest", atOnce(func(i int) error {
		_, err := x.PutManifest(x.ctx, repo, image.Manifest, []registry.Tag{registry.Tag(fmt.Sprint("t", i)), "all"})
		return err
	}))
	x.wantTags(repo, "all", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7")
	x.wantManifest(repo, tagged("all"), image)
	x.want("DeleteManifest", x.DeleteManifest(x.ctx, repo, image.Digest), nil)
	x.wantTags(repo)
}

func testSameTagAtOnce(x *suite) {
	var images []Image
	for i := range writers {
		images = append(images, Recipe{Seed: uint64(i), Layers: 1}.Image())
		x.putBlobs(repo, images[i])
	}
	x.wantAll("PutManifest", atOnce(func(i int) error {
		_, err := x.PutManifest(x.ctx, repo, images[i].Manifest, []registry.Tag{"latest", "stable"})
		return err
	}))
	x.wantTags(repo, "latest", "stable")
	latest, err := x.Manifest(x.ctx, repo, tagged("latest"))
	x.want("Manifest", err, nil)
	stable, err := x.Manifest(x.ctx, repo, tagged("stable"))
	x.want("Manifest", err, nil)
	x.same("tags that were pushed together", stable, latest)
	if !slices.ContainsFunc(images, func(i Image) bool { return i.Digest == latest.Digest }) {
		x.Errorf("the tag names %s, which was not pushed", latest.Digest)
	}
	for _, i := range images {
		x.wantManifest(repo, i.Reference(), i)
	}
}

// testSameUploadAtOnce has one upload finished by many: one of them makes the blob.
func testSameUploadAtOnce(x *suite) {
	b := NewBlob(1, 100_000)
	id := x.start(repo, b)
	_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, 50_000))
	x.want("AppendUpload", err, nil)
	won := 0
	for _, err := range atOnce(func(int) error {
		_, err := x.FinishUpload(x.ctx, repo, id, b.Part(50_000, 100_000), b.Digest)
		return err
	}) {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, registry.ErrRangeInvalid) && !errors.Is(err, registry.ErrUploadUnknown):
			x.Errorf("FinishUpload: %v", err)
		}
	}
	x.same("requests that finished the upload", won, 1)
	x.wantEnded(id, b)
	x.wantBlob(repo, b)
}

// testPushAndDeleteAtOnce deletes blobs while manifests that name them are pushed.
// Whoever comes first, a manifest that is there has all it names.
func testPushAndDeleteAtOnce(x *suite) {
	for round := range 5 {
		image := Recipe{Seed: uint64(round), Layers: 6}.Image()
		x.putBlobs(repo, image)
		errs := atOnce(func(i int) error {
			if i == 0 {
				_, err := x.PutManifest(x.ctx, repo, image.Manifest, []registry.Tag{"latest"})
				return err
			}
			return x.DeleteBlob(x.ctx, repo, image.Blobs[i-1].Digest)
		})
		pushed := errs[0] == nil
		if !pushed {
			x.want("PutManifest", errs[0], registry.ErrManifestBlobUnknown)
		}
		for i, err := range errs[1:] {
			if pushed {
				x.want("DeleteBlob under a manifest", err, registry.ErrBlobReferenced)
				x.wantBlob(repo, image.Blobs[i])
			} else if err == nil {
				x.wantNoBlob(repo, image.Blobs[i], registry.ErrBlobUnknown)
			}
		}
	}
}
