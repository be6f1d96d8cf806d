package registry

import (
	"context"

	"github.com/opencontainers/go-digest"
)

// ReadOnly is a view of next that answers every change with ErrUnavailable, for the
// time in which a registry is moved or backed up.
func ReadOnly(next Registry) Registry {
	return struct {
		Reader
		Lister
		Writer
		Deleter
	}{next, next, unchanging{}, unchanging{}}
}

// unchanging is a registry to which nothing is done.
type unchanging struct{}

var errReadOnly = ErrUnavailable.With("the registry is read-only for the time being; try again later")

func (unchanging) StartUpload(context.Context, Name, digest.Algorithm) (Upload, error) {
	return Upload{}, errReadOnly
}

func (unchanging) Upload(context.Context, Name, UploadID) (Upload, error) {
	return Upload{}, errReadOnly
}

func (unchanging) AppendUpload(context.Context, Name, UploadID, Chunk) (Upload, error) {
	return Upload{}, errReadOnly
}

func (unchanging) FinishUpload(context.Context, Name, UploadID, Chunk, digest.Digest) (Descriptor, error) {
	return Descriptor{}, errReadOnly
}

func (unchanging) CancelUpload(context.Context, Name, UploadID) error { return errReadOnly }

func (unchanging) PutBlob(context.Context, Name, Chunk, digest.Digest) (Descriptor, error) {
	return Descriptor{}, errReadOnly
}

func (unchanging) MountBlob(context.Context, Name, Name, digest.Digest) (Descriptor, error) {
	return Descriptor{}, errReadOnly
}

func (unchanging) PutManifest(context.Context, Name, Manifest, []Tag) (Content, error) {
	return Content{}, errReadOnly
}

func (unchanging) DeleteTag(context.Context, Name, Tag) error { return errReadOnly }

func (unchanging) DeleteManifest(context.Context, Name, digest.Digest) error { return errReadOnly }

func (unchanging) DeleteBlob(context.Context, Name, digest.Digest) error { return errReadOnly }
