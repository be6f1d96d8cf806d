package registrytest

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/google/go-cmp/cmp"

	"berth/registry"
)

// want fails the test unless err is of a kind, one of the Err values of registry, or
// nil.
func (x *suite) want(what string, err, kind error) {
	x.Helper()
	if !errors.Is(err, kind) {
		x.Fatalf("%s: %v, want %v", what, err, kind)
	}
}

func (x *suite) same(what string, got, want any) {
	x.Helper()
	if !cmp.Equal(want, got) {
		x.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

func (x *suite) putBlob(repo registry.Name, b Blob) {
	x.Helper()
	got, err := x.PutBlob(x.ctx, repo, b.Chunk(), b.Digest)
	x.want("PutBlob", err, nil)
	x.wantDescriptor("PutBlob", got, b.Descriptor)
}

// putBlobs pushes all that an image needs.
func (x *suite) putBlobs(repo registry.Name, i Image) {
	x.Helper()
	for _, b := range i.Blobs {
		x.putBlob(repo, b)
	}
	for _, child := range i.Children {
		x.push(repo, child)
	}
}

// push pushes an image with all that it needs.
func (x *suite) push(repo registry.Name, i Image, tags ...registry.Tag) {
	x.Helper()
	x.putBlobs(repo, i)
	_, err := x.PutManifest(x.ctx, repo, i.Manifest, tags)
	x.want("PutManifest", err, nil)
}

// wantDescriptor compares digest and size. What a blob is called is up to the
// registry.
func (x *suite) wantDescriptor(what string, got, want registry.Descriptor) {
	x.Helper()
	if got.Digest != want.Digest || got.Size != want.Size {
		x.Fatalf("%s: got %s of %d bytes, want %s of %d", what, got.Digest, got.Size, want.Digest, want.Size)
	}
}

func (x *suite) wantBlob(repo registry.Name, b Blob) {
	x.Helper()
	stat, err := x.StatBlob(x.ctx, repo, b.Digest)
	x.want("StatBlob", err, nil)
	x.wantDescriptor("StatBlob", stat, b.Descriptor)
	open, err := x.OpenBlob(x.ctx, repo, b.Digest, registry.Span{})
	x.want("OpenBlob", err, nil)
	defer open.Content.Close()
	x.same("OpenBlob and StatBlob", open.Descriptor, stat)
	got, err := io.ReadAll(open.Content)
	x.want("reading the blob", err, nil)
	if !bytes.Equal(got, b.Bytes) {
		x.Fatalf("blob %s has other bytes than were pushed", b.Digest)
	}
}

func (x *suite) wantNoBlob(repo registry.Name, b Blob, kind error) {
	x.Helper()
	_, err := x.StatBlob(x.ctx, repo, b.Digest)
	x.want("StatBlob", err, kind)
	_, err = x.OpenBlob(x.ctx, repo, b.Digest, registry.Span{})
	x.want("OpenBlob", err, kind)
}

func (x *suite) wantManifest(repo registry.Name, ref registry.Reference, i Image) {
	x.Helper()
	stat, err := x.StatManifest(x.ctx, repo, ref)
	x.want("StatManifest", err, nil)
	x.same("StatManifest", stat, i.Descriptor())
	got, err := x.Manifest(x.ctx, repo, ref)
	x.want("Manifest", err, nil)
	x.same("media type", got.MediaType, i.MediaType)
	x.same("digest", got.Digest, i.Digest)
	if !bytes.Equal(got.Bytes, i.Bytes) {
		x.Fatalf("manifest %s has other bytes than were pushed", i.Digest)
	}
}

func (x *suite) wantNoManifest(repo registry.Name, ref registry.Reference, kind error) {
	x.Helper()
	_, err := x.StatManifest(x.ctx, repo, ref)
	x.want("StatManifest", err, kind)
	_, err = x.Manifest(x.ctx, repo, ref)
	x.want("Manifest", err, kind)
}

func (x *suite) wantTags(repo registry.Name, want ...registry.Tag) {
	x.Helper()
	got, err := x.Tags(x.ctx, repo, "", 1000)
	x.want("Tags", err, nil)
	if !slices.Equal(got, want) {
		x.Fatalf("tags: got %q, want %q", got, want)
	}
}

// start opens an upload.
func (x *suite) start(repo registry.Name, b Blob) registry.UploadID {
	x.Helper()
	u, err := x.StartUpload(x.ctx, repo, b.Digest.Algorithm())
	x.want("StartUpload", err, nil)
	return u.ID
}

// wantOffset looks where an upload stands.
func (x *suite) wantOffset(repo registry.Name, id registry.UploadID, offset int) {
	x.Helper()
	u, err := x.Upload(x.ctx, repo, id)
	x.want("Upload", err, nil)
	if u.Offset != int64(offset) || u.ID != id || u.Repo != repo {
		x.Fatalf("upload %s of %s stands at %d, want %s of %s at %d", u.ID, u.Repo, u.Offset, id, repo, offset)
	}
}

func tagged(t registry.Tag) registry.Reference { return registry.Reference{Tag: t} }
