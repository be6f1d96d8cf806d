package registry

import (
	"context"

	"github.com/opencontainers/go-digest"
)

// Refusing is a Registry that answers ErrUnsupported to everything. A registry that
// wraps another embeds it, so that a method added to the interface stays refused
// until someone has thought about it there.
type Refusing struct{}

var _ Registry = Refusing{}

func (Refusing) StatBlob(context.Context, Name, digest.Digest) (Descriptor, error) {
	return Descriptor{}, ErrUnsupported
}

func (Refusing) BlobURL(context.Context, Name, digest.Digest) (string, error) {
	return "", ErrUnsupported
}

func (Refusing) OpenBlob(context.Context, Name, digest.Digest, Span) (Blob, error) {
	return Blob{}, ErrUnsupported
}

func (Refusing) StatManifest(context.Context, Name, Reference) (Descriptor, error) {
	return Descriptor{}, ErrUnsupported
}

func (Refusing) Manifest(context.Context, Name, Reference) (Manifest, error) {
	return Manifest{}, ErrUnsupported
}

func (Refusing) StartUpload(context.Context, Name, digest.Algorithm) (Upload, error) {
	return Upload{}, ErrUnsupported
}

func (Refusing) Upload(context.Context, Name, UploadID) (Upload, error) {
	return Upload{}, ErrUnsupported
}

func (Refusing) AppendUpload(context.Context, Name, UploadID, Chunk) (Upload, error) {
	return Upload{}, ErrUnsupported
}

func (Refusing) FinishUpload(context.Context, Name, UploadID, Chunk, digest.Digest) (Descriptor, error) {
	return Descriptor{}, ErrUnsupported
}

func (Refusing) CancelUpload(context.Context, Name, UploadID) error { return ErrUnsupported }

func (Refusing) PutBlob(context.Context, Name, Chunk, digest.Digest) (Descriptor, error) {
	return Descriptor{}, ErrUnsupported
}

func (Refusing) MountBlob(context.Context, Name, Name, digest.Digest) (Descriptor, error) {
	return Descriptor{}, ErrUnsupported
}

func (Refusing) PutManifest(context.Context, Name, Manifest, []Tag) (Content, error) {
	return Content{}, ErrUnsupported
}

func (Refusing) DeleteTag(context.Context, Name, Tag) error { return ErrUnsupported }

func (Refusing) DeleteManifest(context.Context, Name, digest.Digest) error { return ErrUnsupported }

func (Refusing) DeleteBlob(context.Context, Name, digest.Digest) error { return ErrUnsupported }

func (Refusing) Repositories(context.Context, Name, int) ([]Name, error) {
	return nil, ErrUnsupported
}

func (Refusing) Tags(context.Context, Name, Tag, int) ([]Tag, error) { return nil, ErrUnsupported }

func (Refusing) Referrers(context.Context, Name, ReferrersQuery) ([]Referrer, bool, error) {
	return nil, false, ErrUnsupported
}

func (Refusing) BlobRepositories(context.Context, digest.Digest, Name, int) ([]Name, error) {
	return nil, ErrUnsupported
}
