package registry

import (
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// UploadID names an upload. It is unguessable; only the one who started the upload
// knows it.
type UploadID string

// Upload is a blob on its way in. It is a value: between two chunks nothing of it
// is held open, and any replica can go on where it stands.
type Upload struct {
	ID        UploadID
	Repo      Name
	Algorithm digest.Algorithm // the hash that is kept while bytes arrive
	Offset    int64            // bytes received and kept so far
	StartedAt time.Time
	Note      string // of the last chunk that had one
}

// Chunk is a stretch of an upload's bytes.
type Chunk struct {
	Offset int64     // position of the first byte in the blob; negative means wherever the upload stands
	Size   int64     // bytes to come, or negative if only the end of Body tells
	Body   io.Reader // may be nil if Size is 0
	Note   string    // kept with the upload once all of the chunk is; empty keeps the one before
}
