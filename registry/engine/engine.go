// Package engine is the registry itself: it checks what arrives, gives bytes to
// storage/blob and rows to storage/meta, and lets what belongs together become
// visible together.
//
// The order that everything rests on: bytes first, made durable under a key that
// nobody knows; then the row that gives them a name. A crash in between leaves an
// object that nobody can see, which the upload's row leads to when it expires.
package engine

import (
	"log/slog"
	"sync"
	"time"

	"berth/registry"
	"berth/registry/internal/buffers"
	"berth/storage/blob"
	"berth/storage/meta"
)

// Options say how a registry behaves. The zero value is a registry in which pushing
// creates no repositories and manifests must be complete.
type Options struct {
	// CreateOnPush makes a repository when the first blob or manifest is pushed to it.
	CreateOnPush bool

	// AllowSparse says in which repositories a manifest may name layers and manifests
	// that are not there; nil means in none.
	AllowSparse func(registry.Name) bool

	// MaxSmallBlob is the largest blob, in bytes, that is kept in the database instead
	// of an object of its own; zero means DefaultMaxSmallBlob, negative none.
	MaxSmallBlob int64

	Logger *slog.Logger
}

// DefaultMaxSmallBlob takes in configs, signatures and small charts. A file that
// small costs two syncs of the disk, a row none beside the one for the blob's row; in
// a bucket it would cost a request for each push and each pull.
const DefaultMaxSmallBlob = 16 << 10

// Engine is a registry. It is safe for concurrent use.
type Engine struct {
	meta  *meta.DB
	blobs blob.Store
	opts  Options
	log   *slog.Logger

	buffers    *buffers.Pool // that pushes read into
	touchEvery time.Duration // see [touchEvery]
	pulls      *pulls
	lossy      *lossy
	scanning   scanning

	mu   sync.Mutex
	busy map[registry.UploadID]struct{} // uploads a request of this process is writing to
}

var (
	_ registry.Registry = (*Engine)(nil)
	_ registry.Admin    = (*Engine)(nil)
)

// New returns the registry whose rows are in db and whose bytes are in blobs.
func New(db *meta.DB, blobs blob.Store, opts Options) *Engine {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.MaxSmallBlob == 0 {
		opts.MaxSmallBlob = DefaultMaxSmallBlob
	}
	if opts.AllowSparse == nil {
		opts.AllowSparse = func(registry.Name) bool { return false }
	}
	return &Engine{
		meta:  db,
		blobs: blobs,
		opts:  opts,
		log:   opts.Logger,
		busy:  map[registry.UploadID]struct{}{},

		buffers:    buffers.New(bufferSize),
		touchEvery: touchEvery,
		pulls:      newPulls(),
		lossy:      new(lossy),
	}
}
