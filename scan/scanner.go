package scan

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Scanner lists what is in images, and finds the vulnerabilities of that. It is asked for one
// image at a time.
type Scanner interface {
	// Name is the scanner with its version, such as "trivy 0.72.0".
	Name() string

	// Use opens the database of a kind that lies in dir and closes the one before. If the new
	// one cannot be read it goes on with that one.
	Use(kind DatabaseKind, dir string) error

	// Inventory reads the layers of an image that the cache does not know yet, and says what
	// is in the image. Errors: ErrNothingFound, and any that means that the image cannot be read.
	Inventory(ctx context.Context, img Image, cache LayerCache) (Inventory, error)

	// Match finds the vulnerabilities of what an inventory lists. It needs the database of
	// [Vulnerabilities]; without it the answer is ErrNoDatabase.
	Match(ctx context.Context, inventory json.RawMessage) ([]Finding, error)
}

// What a [Scanner] answers.
var (
	ErrNothingFound = errors.New("neither an operating system nor packages were found in the image")
	ErrNoDatabase   = errors.New("there is no vulnerability database")
)

// Image is an image as scanners read it.
type Image struct {
	Repository registry.Name
	Digest     digest.Digest
	MediaType  string
	Manifest   []byte

	// Open opens a blob of the image, compressed as it is. At its end reading fails if the
	// bytes do not have that digest.
	Open func(ctx context.Context, d digest.Digest) (io.ReadCloser, error)
}

// Inventory is what is in an image.
type Inventory struct {
	CycloneDX json.RawMessage
	OS        string // such as "debian 12.5"; empty if it is not known
	Packages  int
}

// LayerCache keeps what a scanner has found in a layer. The scanner chooses the keys, which are
// short and made of letters, digits, '-' and ':'.
type LayerCache interface {
	// Missing says which of keys are not there.
	Missing(ctx context.Context, keys []string) ([]string, error)
	Layer(ctx context.Context, key string) ([]byte, error)
	PutLayer(ctx context.Context, key string, content []byte) error
}
