package scan

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// What a [Scans] can answer besides the errors of package registry.
var (
	// ErrUnsupportedImage says that something cannot be scanned: an artifact, not an image.
	ErrUnsupportedImage = errors.New("only images can be scanned, and this is none")

	// ErrNotScanned says that an image was never scanned, and that nobody has asked for that.
	ErrNotScanned = errors.New("the image was never scanned")

	// ErrArchived says that an image is in the archive.
	ErrArchived = errors.New("the image is archived; restore it first")
)

// Scans is what those who run a registry ask about scans. All methods are safe for
// concurrent use, and may answer the errors that any method of [registry.Admin] may, and
// ErrNameUnknown and ErrManifestUnknown.
type Scans interface {
	// Start asks for the scan of an image, or of each image of an index. An image that has an
	// inventory is only matched again, unless the options ask for a new one.
	// Errors: ErrUnsupportedImage, ErrArchived, registry.ErrLimitExceeded.
	Start(ctx context.Context, repo registry.Name, d digest.Digest, how StartOptions) (Scan, error)

	// Scan says how the scan of an image stands. Errors: ErrNotScanned.
	Scan(ctx context.Context, repo registry.Name, d digest.Digest) (Scan, error)

	// Scans says so of some images of a repository, leaving out those never scanned.
	Scans(ctx context.Context, repo registry.Name, images []digest.Digest) (map[digest.Digest]Scan, error)

	// Report returns the findings of an image. While its first scan is under way there are
	// none, and Status says so. Errors: ErrNotScanned.
	Report(ctx context.Context, repo registry.Name, d digest.Digest) (Report, error)

	// Inventory returns what is in an image, a CycloneDX document in JSON.
	// Errors: ErrNotScanned, also while the first step of the scan is under way.
	Inventory(ctx context.Context, repo registry.Name, d digest.Digest) (json.RawMessage, error)
}

// StartOptions say how an image is scanned that was scanned before.
type StartOptions struct {
	Force bool // even if a scan was asked for within 24 hours
	Anew  bool // make a new inventory
}
