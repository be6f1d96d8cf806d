package engine

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/meta"
)

// reception is an upload while a request writes to it.
type reception struct {
	engine   *Engine
	upload   meta.Upload // as its row has it
	received int64       // bytes, kept or not

	// While what has arrived is little enough for the database, it is here. Then there is
	// a writer, and a hash of what it has been given.
	small  []byte
	writer blob.Writer
	hash   hash.Hash
	kept   bool // what has arrived is in the row, or lost: nothing more can be kept
}

// begin takes an upload for a chunk; unless it fails, the caller calls end. Even then
// the reception tells where the upload stands, if that is known.
func (e *Engine) begin(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk) (*reception, error) {
	r := &reception{engine: e}
	var err error
	if c.Offset >= 0 {
		// Looked at before the upload is claimed: a chunk that comes too late, of a client
		// that is gone, must not be in the way of the one that fits.
		if r.upload, err = e.standing(ctx, repo, id, c); err != nil {
			return r, err
		}
	}
	claimed := e.claim(id)
	r.upload, err = e.standing(ctx, repo, id, c)
	if !claimed {
		return r, errBusy
	}
	if err != nil {
		e.release(id)
	}
	return r, err
}

// standing finds an upload and looks whether a chunk begins where it stands.
func (e *Engine) standing(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk) (meta.Upload, error) {
	u, err := e.meta.Upload(ctx, repo, id)
	if err == nil && c.Offset >= 0 && c.Offset != u.Received {
		err = registry.ErrRangeInvalid.With("the chunk starts at byte %d but the upload stands at %d; go on there", c.Offset, u.Received)
	}
	return u, err
}

// end lets go of the upload.
func (r *reception) end() {
	if r.writer != nil {
		r.writer.Close()
	}
	r.engine.release(r.upload.ID)
}

// receive takes a chunk in: bytes to the store and through the hash. If it breaks
// off, what arrived is kept for a later chunk.
func (r *reception) receive(ctx context.Context, c registry.Chunk) error {
	ctx = context.WithoutCancel(ctx) // what has arrived already is kept even so
	if err := r.open(ctx); err != nil {
		return err
	}
	err := r.copy(ctx, c)
	if err != nil && !r.kept {
		err = errors.Join(err, r.suspend(ctx))
	}
	return err
}

// open makes ready to go on where the upload stands.
func (r *reception) open(ctx context.Context) error {
	u := r.upload
	r.received = u.Received
	state, err := r.engine.meta.UploadState(ctx, u)
	if err != nil {
		return err
	}
	if !u.Begun {
		r.small = append([]byte{}, state.Content...)
		if r.fits(0) {
			return nil
		}
		return r.create(ctx)
	}
	r.hash = u.Algorithm.Hash()
	if err := r.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state.Hash); err != nil {
		return fmt.Errorf("upload %s: %w", u.ID, err)
	}
	return r.resume(ctx, state.Object)
}

// fits reports whether what has arrived, with n more bytes, is still small.
func (r *reception) fits(n int) bool {
	return int64(len(r.small)+n) <= r.engine.opts.MaxSmallBlob
}

// create begins an object with what has been small so far.
func (r *reception) create(ctx context.Context) (err error) {
	r.hash = r.upload.Algorithm.Hash()
	if r.writer, err = r.engine.blobs.Create(ctx, r.upload.Key); err != nil {
		return storageError(err)
	}
	begin := r.small
	r.small = nil
	r.received = 0
	return r.write(ctx, begin)
}

// resume goes on with the object where it was suspended.
func (r *reception) resume(ctx context.Context, state []byte) (err error) {
	r.writer, err = r.engine.blobs.Resume(ctx, r.upload.Key, state)
	if errors.Is(err, blob.ErrLost) {
		return r.lost(ctx, err)
	}
	r.kept = err != nil
	return storageError(err)
}

// lost gives up an upload whose bytes are not all there.
func (r *reception) lost(ctx context.Context, cause error) error {
	lost := registry.ErrUploadUnknown.With("the registry has lost the beginning of this upload; start a new one")
	return errors.Join(lost, cause, r.engine.dropUpload(ctx, r.upload))
}

// bufferSize is what a push reads at once: enough that system calls do not count, little
// enough that the bytes are still in the cache when they are hashed.
const bufferSize = 256 << 10

// touchEvery is how often the row of an upload is told that bytes still arrive, or one
// request that takes long would look abandoned to another replica.
const touchEvery = 5 * time.Minute

// copy moves the chunk's body to the store and the hash, up to its announced end.
func (r *reception) copy(ctx context.Context, c registry.Chunk) error {
	if c.Body == nil {
		return nil
	}
	buf, put := r.engine.buffers.Get()
	defer put()
	var arrived int64
	for touched := time.Now(); ; {
		if now := time.Now(); now.Sub(touched) > r.engine.touchEvery {
			touched = now
			if err := r.engine.meta.TouchUpload(ctx, r.upload); err != nil {
				return err
			}
		}
		n, readErr := c.Body.Read(buf)
		fits := n
		if c.Size >= 0 {
			fits = int(min(int64(n), c.Size-arrived))
		}
		arrived += int64(n)
		switch err := r.write(ctx, buf[:fits]); {
		case err != nil:
			return err
		case fits < n:
			return registry.ErrSizeInvalid.With("the chunk was announced with %d bytes but has more; those are kept, resume at byte %d",
				c.Size, r.received)
		case readErr == io.EOF:
			if c.Size >= 0 && arrived < c.Size {
				return registry.ErrSizeInvalid.With("the chunk was announced with %d bytes but has %d", c.Size, arrived)
			}
			return nil
		case errors.Is(readErr, os.ErrDeadlineExceeded):
			return registry.ErrSizeInvalid.With("the body stalled after %d bytes; they are kept, resume at byte %d", arrived, r.received)
		case readErr != nil:
			return registry.ErrSizeInvalid.With("the body broke off after %d bytes; they are kept, resume at byte %d", arrived, r.received)
		}
	}
}

// write moves bytes to the store and the hash. If the store wants its memory back, what
// has arrived goes to the upload's row meanwhile.
func (r *reception) write(ctx context.Context, p []byte) error {
	if r.writer == nil {
		if r.fits(len(p)) {
			r.small = append(r.small, p...)
			r.received += int64(len(p))
			return nil
		}
		if err := r.create(ctx); err != nil {
			return err
		}
	}
	for {
		n, err := r.writer.Write(p)
		r.hash.Write(p[:n])
		r.received += int64(n)
		if !errors.Is(err, blob.ErrYield) {
			return storageError(err)
		}
		p = p[n:]
		state, err := r.keep(ctx)
		if err != nil {
			return err
		}
		if err := r.resume(ctx, state.Object); err != nil {
			return err
		}
	}
}

// suspend keeps what has arrived and ends the writing. It does so even if the client
// is gone: that is what it is for. Should it fail, the upload stands where its row says.
func (r *reception) suspend(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	_, err := r.keep(ctx)
	if err != nil {
		if u, unknown := r.engine.meta.Upload(ctx, r.upload.Repo, r.upload.ID); unknown == nil {
			r.upload = u
		}
	}
	return err
}

// keep suspends the object and records where it stands. The writer is at its end.
func (r *reception) keep(ctx context.Context) (state meta.UploadState, err error) {
	r.kept = true
	if writer := r.writer; writer != nil {
		r.writer = nil
		if state.Hash, err = r.hash.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
			return state, errors.Join(err, writer.Close())
		}
		state.Object, err = writer.Suspend(ctx)
		if errors.Is(err, blob.ErrLost) {
			return state, r.lost(ctx, err)
		}
		if err != nil {
			return state, storageError(err)
		}
	} else {
		state.Content = r.small
	}
	advanced := r.upload
	advanced.Received = r.received
	var next meta.Upload
	err = r.engine.meta.UpdateRelaxed(ctx, func(tx *meta.Tx) (err error) {
		next, err = tx.AdvanceUpload(ctx, advanced, state)
		return err
	})
	if err == nil {
		r.upload = next
	}
	return state, err
}

// refuse discards an upload whose bytes are not what the client says.
func (r *reception) refuse(ctx context.Context, got, want digest.Digest) error {
	refusal := registry.ErrDigestInvalid.With("what arrived has the digest %s, not %s; the upload is discarded, start a new one",
		got, want)
	if r.writer != nil {
		r.writer.Close()
	}
	return errors.Join(refusal, r.engine.dropUpload(ctx, r.upload))
}

func (r *reception) digest() digest.Digest {
	return digest.NewDigest(r.upload.Algorithm, r.hash)
}

// digest reads the bytes of a blob through a hash.
func (e *Engine) digest(ctx context.Context, b meta.Blob, alg digest.Algorithm) (digest.Digest, error) {
	content, err := e.open(ctx, b, blob.Span{})
	if err != nil {
		return "", err
	}
	defer content.Close()
	return alg.FromReader(content)
}

// room asks the store, which knows what is to stay free, for bytes that go into the
// database.
func (e *Engine) room(ctx context.Context, n int) error {
	return storageError(blob.Room(ctx, e.blobs, int64(n)))
}

// storageError is what a caller is told of a fault of the store.
func storageError(err error) error {
	switch {
	case errors.Is(err, blob.ErrFull):
		return errors.Join(registry.ErrStorageFull, err)
	case errors.Is(err, blob.ErrTooLarge):
		return errors.Join(registry.ErrSizeInvalid.With("the blob is larger than the registry's storage takes; split it"), err)
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, context.DeadlineExceeded): // some stores have limits of their own
		return errors.Join(registry.ErrUnavailable.With("the registry's storage does not answer; try again shortly"), err)
	}
	return err
}
