package engine

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/meta"
)

// bufferSize is what a push reads at once: large enough that system calls do not
// count, small enough that the bytes are still in the cache when they are hashed.
const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// reception is an upload while a request writes to it.
type reception struct {
	engine *Engine
	upload meta.Upload
	writer blob.Writer
	hash   hash.Hash
}

// receive takes a chunk in: bytes to the store and through the hash. If it breaks
// off, what arrived is kept for a later chunk, and the reception has ended.
func (e *Engine) receive(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk) (*reception, error) {
	r := &reception{engine: e}
	if !e.claim(id) {
		r.upload, _ = e.meta.Upload(ctx, repo, id)
		return r, errBusy
	}
	r.upload.ID = id // for end
	if err := r.begin(ctx, repo, id, c); err != nil {
		r.end()
		return r, err
	}
	if err := r.copy(c); err != nil {
		defer r.end()
		return r, errors.Join(err, r.suspend(ctx))
	}
	return r, nil
}

func (r *reception) begin(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk) error {
	u, err := r.engine.meta.Upload(ctx, repo, id)
	if err != nil {
		return err
	}
	r.upload = u
	if c.Offset >= 0 && c.Offset != u.Received {
		return registry.ErrRangeInvalid.With("the chunk starts at byte %d but the upload stands at %d; go on there", c.Offset, u.Received)
	}
	r.hash = u.Algorithm.Hash()
	if u.ObjectState == nil {
		r.writer, err = r.engine.blobs.Create(ctx, u.Key)
		return storageError(err)
	}
	if err := r.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(u.HashState); err != nil {
		return fmt.Errorf("upload %s: %w", u.ID, err)
	}
	r.writer, err = r.engine.blobs.Resume(ctx, u.Key, u.ObjectState)
	if errors.Is(err, blob.ErrLost) {
		lost := registry.ErrUploadUnknown.With("the registry has lost the beginning of this upload; start a new one")
		return errors.Join(lost, r.engine.dropUpload(ctx, u))
	}
	return storageError(err)
}

// copy moves the chunk's body to the store and the hash.
func (r *reception) copy(c registry.Chunk) error {
	if c.Body == nil {
		return nil
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	var arrived int64
	for {
		n, readErr := c.Body.Read(buf[:])
		arrived += int64(n)
		kept, err := r.writer.Write(buf[:n])
		r.hash.Write(buf[:kept])
		r.upload.Received += int64(kept)
		switch {
		case err != nil:
			return storageError(err)
		case readErr == io.EOF:
			if c.Size >= 0 && arrived != c.Size {
				return registry.ErrSizeInvalid.With("the chunk was announced with %d bytes but has %d", c.Size, arrived)
			}
			return nil
		case errors.Is(readErr, os.ErrDeadlineExceeded):
			return registry.ErrSizeInvalid.With("the body stalled after %d bytes; they are kept, resume at byte %d", arrived, r.upload.Received)
		case readErr != nil:
			return registry.ErrSizeInvalid.With("the body broke off after %d bytes; they are kept, resume at byte %d", arrived, r.upload.Received)
		}
	}
}

// suspend keeps what has arrived and ends the writing. It does so even if the client
// is gone: that is what it is for.
func (r *reception) suspend(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	next := r.upload
	var err error
	if next.HashState, err = r.hash.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
		return err
	}
	if next.ObjectState, err = r.writer.Suspend(ctx); err != nil {
		return storageError(err)
	}
	return r.engine.meta.UpdateRelaxed(ctx, func(tx *meta.Tx) error { return tx.AdvanceUpload(ctx, next) })
}

// refuse discards an upload whose bytes are not what the client says.
func (r *reception) refuse(ctx context.Context, got, want digest.Digest) error {
	refusal := registry.ErrDigestInvalid.With("the %d bytes that arrived have the digest %s, not %s; the upload is discarded, start a new one",
		r.upload.Received, got, want)
	r.writer.Close()
	return errors.Join(refusal, r.engine.dropUpload(ctx, r.upload))
}

func (r *reception) digest() digest.Digest {
	return digest.NewDigest(r.upload.Algorithm, r.hash)
}

// end lets go of the upload. It is called once, when the row says all there is to
// say.
func (r *reception) end() {
	if r.writer != nil {
		r.writer.Close()
	}
	r.engine.release(r.upload.ID)
}

// digest reads an object through a hash.
func (e *Engine) digest(ctx context.Context, key blob.Key, alg digest.Algorithm) (digest.Digest, error) {
	content, err := e.blobs.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer content.Close()
	return alg.FromReader(content)
}

func storageError(err error) error {
	if errors.Is(err, blob.ErrFull) {
		return errors.Join(registry.ErrStorageFull, err)
	}
	return err
}
