package registrytest

import (
	"testing"

	"berth/registry"
)

// RunClosed tests registries in which pushing creates no repositories. open returns
// one in which there is the repository named there, which is empty.
func RunClosed(t *testing.T, open func(t *testing.T, there registry.Name) registry.Registry) {
	x := &suite{T: t, Registry: open(t, repo), ctx: t.Context()}
	image := Recipe{Seed: 1}.Image()
	b := image.Blobs[0]
	_, err := x.StartUpload(x.ctx, "other", b.Digest.Algorithm())
	x.want("StartUpload", err, registry.ErrNameUnknown)
	_, err = x.PutBlob(x.ctx, "other", b.Chunk(), b.Digest)
	x.want("PutBlob", err, registry.ErrNameUnknown)
	x.push(repo, image, "latest")
	for _, from := range []registry.Name{repo, ""} {
		_, err = x.MountBlob(x.ctx, "other", from, b.Digest)
		x.want("MountBlob", err, registry.ErrNameUnknown)
	}
	empty := Recipe{}.Index()
	_, err = x.PutManifest(x.ctx, "other", empty.Manifest, []registry.Tag{"latest"})
	x.want("PutManifest", err, registry.ErrNameUnknown)
	x.wantNoManifest("other", tagged("latest"), registry.ErrNameUnknown)

	id := x.start(repo, b)
	_, err = x.FinishUpload(x.ctx, repo, id, b.Chunk(), b.Digest)
	x.want("FinishUpload", err, nil)
	x.wantManifest(repo, tagged("latest"), image)
	pages(x, []registry.Name{repo}, x.Repositories)
}
