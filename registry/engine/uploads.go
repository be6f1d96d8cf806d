package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/meta"
)

// StartUpload implements [registry.Writer].
func (e *Engine) StartUpload(ctx context.Context, repo registry.Name, alg digest.Algorithm) (registry.Upload, error) {
	if err := e.mayGrow(ctx, repo, "", -1); err != nil {
		return registry.Upload{}, err
	}
	return e.startUpload(ctx, repo, alg)
}

func (e *Engine) startUpload(ctx context.Context, repo registry.Name, alg digest.Algorithm) (registry.Upload, error) {
	u := meta.Upload{
		ID:        registry.UploadID(uuid.NewString()),
		Repo:      repo,
		Key:       blob.NewKey(),
		Algorithm: alg,
	}
	update := e.meta.UpdateRelaxed
	if e.meta.Shared() {
		// The database may crash alone, and must not forget what leads to parts in a bucket.
		update = e.meta.Update
	}
	err := update(ctx, func(tx *meta.Tx) (err error) {
		if err := e.mayPush(ctx, tx, repo); err != nil {
			return err
		}
		u, err = tx.PutUpload(ctx, u)
		return err
	})
	return status(u), err
}

// Upload implements [registry.Writer].
func (e *Engine) Upload(ctx context.Context, repo registry.Name, id registry.UploadID) (registry.Upload, error) {
	u, err := e.meta.Upload(ctx, repo, id)
	return status(u), err
}

// AppendUpload implements [registry.Writer].
func (e *Engine) AppendUpload(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk) (registry.Upload, error) {
	r, err := e.begin(ctx, repo, id, c)
	if err != nil {
		return status(r.upload), err
	}
	defer r.end()
	if err := r.growing(ctx, c, ""); err != nil {
		return status(r.upload), err
	}
	if err = r.receive(ctx, c); err == nil {
		if c.Note != "" {
			r.upload.Note = c.Note
		}
		err = r.suspend(ctx)
	}
	return status(r.upload), err
}

// FinishUpload implements [registry.Writer].
func (e *Engine) FinishUpload(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk, d digest.Digest) (registry.Descriptor, error) {
	r, err := e.begin(ctx, repo, id, c)
	if err != nil {
		return registry.Descriptor{}, err
	}
	defer r.end()
	if err := r.growing(ctx, c, d); err != nil {
		return registry.Descriptor{}, err
	}
	if err := r.receive(ctx, c); err != nil {
		return registry.Descriptor{}, err
	}
	b, err := r.finish(ctx, d)
	if err != nil {
		return registry.Descriptor{}, err
	}
	if err := e.publishOrRetract(context.WithoutCancel(ctx), r.upload, b); err != nil {
		return describe(b), err
	}
	e.warn(ctx, repo)
	return describe(b), nil
}

// publishOrRetract publishes b. If another server has cancelled the upload, or ended it
// otherwise, while this one stood still, it may have removed the object before this one
// made it. Then nothing leads to it any more.
func (e *Engine) publishOrRetract(ctx context.Context, u meta.Upload, b meta.Blob) error {
	err := e.publish(ctx, u, b)
	if !errors.Is(err, registry.ErrUploadUnknown) || b.Key == "" {
		return err
	}
	named, findErr := e.meta.IsObject(ctx, b.Key)
	if findErr == nil && !named {
		findErr = storageError(e.blobs.Delete(ctx, b.Key))
	}
	if findErr != nil {
		e.log.WarnContext(ctx, "the object of a cancelled upload stays behind; berth fsck lists it", "key", b.Key, "error", findErr)
	}
	return err
}

// commit ends the object. Where other servers may have the same upload in hands, only
// the one that has claimed it may write under its key.
func (r *reception) commit(ctx context.Context) error {
	if r.engine.meta.Shared() {
		var claimed meta.Upload
		err := r.engine.meta.UpdateRelaxed(ctx, func(tx *meta.Tx) (err error) {
			claimed, err = tx.ClaimUpload(ctx, r.upload)
			return err
		})
		if err != nil {
			return err
		}
		r.upload = claimed
	}
	err := r.writer.Commit(ctx)
	if errors.Is(err, blob.ErrLost) {
		return r.lost(ctx, err)
	}
	return storageError(err)
}

// finish makes a blob of what has been received.
func (r *reception) finish(ctx context.Context, d digest.Digest) (meta.Blob, error) {
	// From here on the client's going away must not leave a step undone.
	ctx = context.WithoutCancel(ctx)
	if r.writer == nil {
		if got := d.Algorithm().FromBytes(r.small); got != d {
			return meta.Blob{}, r.refuse(ctx, got, d)
		}
		if err := r.engine.room(ctx, len(r.small)); err != nil {
			return meta.Blob{}, err
		}
		return meta.Blob{Digest: d, Size: r.received, Content: r.small}, nil
	}
	b := meta.Blob{Digest: d, Key: r.upload.Key, Size: r.received}
	sameHash := d.Algorithm() == r.upload.Algorithm
	if sameHash {
		if got := r.digest(); got != d {
			return b, r.refuse(ctx, got, d)
		}
	}
	if err := r.commit(ctx); err != nil {
		return b, err
	}
	if !sameHash {
		// The client named its algorithm only now, so the bytes are read once more.
		got, err := r.engine.digest(ctx, b, d.Algorithm())
		if err != nil {
			return b, err
		}
		if got != d {
			return b, r.refuse(ctx, got, d)
		}
	}
	return b, nil
}

// PutBlob implements [registry.Writer]. It goes through an upload like any other, so
// that bytes which arrived before a crash can be found and removed.
func (e *Engine) PutBlob(ctx context.Context, repo registry.Name, c registry.Chunk, d digest.Digest) (registry.Descriptor, error) {
	if err := e.mayGrow(ctx, repo, d, c.Size); err != nil {
		return registry.Descriptor{}, err
	}
	u, err := e.startUpload(ctx, repo, d.Algorithm())
	if err != nil {
		return registry.Descriptor{}, err
	}
	desc, err := e.FinishUpload(ctx, repo, u.ID, c, d)
	if err != nil {
		// Nobody else knows the upload; what is left of it will never be resumed.
		cleanup := e.CancelUpload(context.WithoutCancel(ctx), repo, u.ID)
		if cleanup != nil && !errors.Is(cleanup, registry.ErrUploadUnknown) {
			e.log.WarnContext(ctx, "a failed upload waits for its expiry", "upload", u.ID, "error", cleanup)
		}
	}
	if errors.Is(err, registry.ErrUploadUnknown) || errors.Is(err, registry.ErrRangeInvalid) {
		// The client has not heard of an upload.
		err = fmt.Errorf("%w: %v", registry.ErrUnavailable.With("the registry could not keep all of the blob; try again"), err)
	}
	return desc, err
}

// CancelUpload implements [registry.Writer].
func (e *Engine) CancelUpload(ctx context.Context, repo registry.Name, id registry.UploadID) error {
	if !e.claim(id) {
		return errBusy
	}
	defer e.release(id)
	u, err := e.meta.Upload(ctx, repo, id)
	if err != nil {
		return err
	}
	return e.dropUpload(context.WithoutCancel(ctx), u)
}

// dropUpload removes an upload: first it becomes unknown, so that nobody can make a
// blob of it meanwhile, then its bytes go, and then the row that leads to them. A whole
// object may go too: a crash had come between its commit and its row.
func (e *Engine) dropUpload(ctx context.Context, u meta.Upload) error {
	var closed meta.Upload
	err := e.meta.UpdateRelaxed(ctx, func(tx *meta.Tx) (err error) {
		closed, err = tx.CloseUpload(ctx, u)
		return err
	})
	if err != nil {
		return err
	}
	return e.removeUpload(ctx, closed)
}

// removeUpload removes a closed upload.
func (e *Engine) removeUpload(ctx context.Context, u meta.Upload) error {
	state, err := e.meta.UploadState(ctx, u)
	if err != nil {
		return err
	}
	if err := e.blobs.Discard(ctx, u.Key, state.Object); err != nil {
		return fmt.Errorf("discarding upload %s: %w", u.ID, storageError(err))
	}
	if err := e.blobs.Delete(ctx, u.Key); err != nil {
		return fmt.Errorf("discarding upload %s: %w", u.ID, storageError(err))
	}
	return e.meta.UpdateRelaxed(ctx, func(tx *meta.Tx) error { return tx.DeleteUpload(ctx, u) })
}

var errBusy = registry.ErrRangeInvalid.With("another request is writing to this upload; wait for it, or ask for the range and go on there")

// claim takes an upload for one request of this process. Between processes the
// revision of the row decides.
func (e *Engine) claim(id registry.UploadID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.busy[id]; taken {
		return false
	}
	e.busy[id] = struct{}{}
	return true
}

func (e *Engine) release(id registry.UploadID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.busy, id)
}

func status(u meta.Upload) registry.Upload {
	return registry.Upload{ID: u.ID, Repo: u.Repo, Algorithm: u.Algorithm, Offset: u.Received, StartedAt: u.StartedAt, Note: u.Note}
}
