package registry

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
)

// Registry is everything the distribution protocol can ask. All methods are safe
// for concurrent use. Besides the errors named at each method, any of them may
// answer [ErrUnauthorized] or [ErrDenied] (a guard stands in front),
// [ErrUnavailable] (try again later), [ErrUnsupported], or an error that is not an
// [Error]: a fault of ours, for the log and not for the caller.
type Registry interface {
	Reader
	Writer
	Deleter
	Lister
}

// Reader is the part of a registry that a pull needs.
type Reader interface {
	// StatBlob describes a blob of repo without opening it.
	// Errors: ErrNameUnknown, ErrBlobUnknown.
	StatBlob(ctx context.Context, repo Name, d digest.Digest) (Descriptor, error)

	// OpenBlob opens a blob of repo; the caller closes its Content. span is what the
	// caller means to read, so that no more is asked of a server behind the registry. The
	// Content stands at its first byte even so and can be read anywhere.
	// Errors: ErrNameUnknown, ErrBlobUnknown.
	OpenBlob(ctx context.Context, repo Name, d digest.Digest, span Span) (Blob, error)

	// BlobURL says where a blob of repo can be fetched for some minutes without asking
	// the registry. Errors: those of OpenBlob, ErrUnsupported (there is no such place).
	BlobURL(ctx context.Context, repo Name, d digest.Digest) (string, error)

	// StatManifest describes what ref names, without its bytes.
	// Errors: ErrNameUnknown, ErrManifestUnknown.
	StatManifest(ctx context.Context, repo Name, ref Reference) (Descriptor, error)

	// Manifest returns what ref names, byte for byte as it was pushed.
	// Errors: ErrNameUnknown, ErrManifestUnknown.
	Manifest(ctx context.Context, repo Name, ref Reference) (Manifest, error)
}

// Writer is the part of a registry that a push needs. A blob or manifest that it has
// answered for without an error is durable. An upload that is under way survives the
// end of the process; a power cut may throw it back or lose it.
type Writer interface {
	// StartUpload opens an upload whose bytes will be hashed with alg as they arrive.
	// Errors: ErrNameUnknown where repositories are not created by pushing, ErrQuotaExceeded.
	StartUpload(ctx context.Context, repo Name, alg digest.Algorithm) (Upload, error)

	// Upload says how far an upload has come.
	// Errors: ErrUploadUnknown.
	Upload(ctx context.Context, repo Name, id UploadID) (Upload, error)

	// AppendUpload adds a chunk. When the chunk's body breaks off, what arrived is kept,
	// and of one that is longer than announced, what was announced. An error is returned
	// together with the upload as it now stands, if that is known.
	// Errors: ErrUploadUnknown, ErrRangeInvalid (the chunk does not start where the
	// upload ends, or another chunk is being written), ErrSizeInvalid, ErrStorageFull,
	// ErrQuotaExceeded (the upload is discarded).
	AppendUpload(ctx context.Context, repo Name, id UploadID, c Chunk) (Upload, error)

	// FinishUpload adds a last chunk, which may be empty, and turns the upload into
	// the blob d. An upload whose bytes are not d is discarded.
	// Errors: those of AppendUpload, ErrDigestInvalid.
	FinishUpload(ctx context.Context, repo Name, id UploadID, c Chunk, d digest.Digest) (Descriptor, error)

	// CancelUpload forgets an upload and its bytes.
	// Errors: ErrUploadUnknown, ErrRangeInvalid (a chunk is being written).
	CancelUpload(ctx context.Context, repo Name, id UploadID) error

	// PutBlob stores a blob that arrives whole.
	// Errors: ErrNameUnknown as for StartUpload, ErrDigestInvalid, ErrSizeInvalid,
	// ErrStorageFull, ErrQuotaExceeded.
	PutBlob(ctx context.Context, repo Name, c Chunk, d digest.Digest) (Descriptor, error)

	// MountBlob makes a blob of the repository from visible in repo. With an empty
	// from, any repository that the caller may read serves.
	// Errors: ErrBlobUnknown (also when from is unknown), ErrNameUnknown as for
	// StartUpload, ErrQuotaExceeded.
	MountBlob(ctx context.Context, repo, from Name, d digest.Digest) (Descriptor, error)

	// PutManifest stores m and points every tag at it: all of them or, on an error,
	// none. It returns what the manifest was found to say.
	// Errors: ErrManifestInvalid, ErrManifestTooLarge, ErrManifestBlobUnknown,
	// ErrDigestInvalid, ErrNameUnknown as for StartUpload.
	PutManifest(ctx context.Context, repo Name, m Manifest, tags []Tag) (Content, error)
}

// Deleter is the part of a registry that takes things away. What it removed is
// gone for every reader when it returns.
type Deleter interface {
	// DeleteTag removes a tag and leaves the manifest it pointed at.
	// Errors: ErrNameUnknown, ErrManifestUnknown.
	DeleteTag(ctx context.Context, repo Name, t Tag) error

	// DeleteManifest removes a manifest and all its tags.
	// Errors: ErrNameUnknown, ErrManifestUnknown, ErrManifestReferenced.
	DeleteManifest(ctx context.Context, repo Name, d digest.Digest) error

	// DeleteBlob makes a blob invisible in repo.
	// Errors: ErrNameUnknown, ErrBlobUnknown, ErrBlobReferenced.
	DeleteBlob(ctx context.Context, repo Name, d digest.Digest) error
}

// Lister is the part of a registry that says what is there. Lists are ordered by
// bytes, come in pages of at most limit entries, and go on after the last entry of
// the page before; a page shorter than limit is the last one.
type Lister interface {
	// Repositories lists the repositories the caller may see.
	Repositories(ctx context.Context, last Name, limit int) ([]Name, error)

	// Tags lists the tags of repo.
	// Errors: ErrNameUnknown.
	Tags(ctx context.Context, repo Name, last Tag, limit int) ([]Tag, error)

	// Referrers lists the manifests of repo whose subject is q.Subject, by digest.
	// A subject that is not there has no referrers, or has them in advance. Since
	// annotations may be long, a page may end before q.Limit; more tells whether
	// anything follows. Errors: ErrNameUnknown.
	Referrers(ctx context.Context, repo Name, q ReferrersQuery) (page []Referrer, more bool, err error)

	// BlobRepositories lists repositories in which the blob is visible.
	BlobRepositories(ctx context.Context, d digest.Digest, last Name, limit int) ([]Name, error)
}

// Span is a part of a blob. The zero Span is all of it.
type Span struct {
	Offset int64
	Length int64 // zero: to the end
}

// Blob is an open blob.
type Blob struct {
	Descriptor

	// Content is an *os.File where the blob lies on disk, so that a copy to a socket
	// may leave the bytes in the kernel.
	Content io.ReadSeekCloser
}
