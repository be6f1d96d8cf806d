package registrytest

import (
	"github.com/opencontainers/go-digest"

	"berth/registry"
)

func testMount(x *suite) {
	b := NewBlob(1, 1000)
	x.putBlob("source", b)
	for _, into := range []registry.Name{repo, repo, "source"} { // mounting again is no error
		got, err := x.MountBlob(x.ctx, into, "source", b.Digest)
		x.want("MountBlob", err, nil)
		x.wantDescriptor("MountBlob", got, b.Descriptor)
		x.wantBlob(into, b)
	}
	x.want("DeleteBlob of the source", x.DeleteBlob(x.ctx, "source", b.Digest), nil)
	x.wantNoBlob("source", b, registry.ErrBlobUnknown)
	x.wantBlob(repo, b)
}

func testMountFromAnywhere(x *suite) {
	b := NewBlob(1, 1000)
	x.putBlob("one", b)
	x.putBlob("two", b)
	for _, into := range []registry.Name{repo, "one"} {
		got, err := x.MountBlob(x.ctx, into, "", b.Digest)
		x.want("MountBlob", err, nil)
		x.wantDescriptor("MountBlob", got, b.Descriptor)
		x.wantBlob(into, b)
	}
}

func testMountOfUnknown(x *suite) {
	b, gone := NewBlob(1, 1000), NewBlob(2, 1000)
	x.putBlob("source", b)
	x.putBlob("source", gone)
	x.want("DeleteBlob", x.DeleteBlob(x.ctx, "source", gone.Digest), nil)
	for _, from := range []registry.Name{"source", "nowhere", repo, ""} {
		for _, d := range []digest.Digest{NewBlob(3, 1).Digest, b.In(digest.SHA512).Digest, gone.Digest} {
			_, err := x.MountBlob(x.ctx, repo, from, d)
			x.want("MountBlob of an unknown blob", err, registry.ErrBlobUnknown)
		}
	}
	_, err := x.MountBlob(x.ctx, repo, "nowhere", b.Digest)
	x.want("MountBlob from an unknown repository", err, registry.ErrBlobUnknown)
	x.wantNoBlob(repo, b, registry.ErrNameUnknown)
}
