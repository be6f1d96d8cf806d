package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/meta"
)

// blobType is what a blob is served as. What it is to a client stands in the
// manifest that names it.
const blobType = "application/octet-stream"

func describe(b meta.Blob) registry.Descriptor {
	return registry.Descriptor{MediaType: blobType, Digest: b.Digest, Size: b.Size}
}

// keepAfter is for how long a blob that no manifest names may not have been asked for, if
// it is to stay now that it is.
const keepAfter = time.Minute

// StatBlob implements [registry.Reader]. Who may push, and hears that a blob is there, does
// not push it and then refers to it: garbage collection has to know.
func (e *Engine) StatBlob(ctx context.Context, repo registry.Name, d digest.Digest) (registry.Descriptor, error) {
	b, err := e.meta.Blob(ctx, repo, d)
	if err == nil && !b.Unreferenced.IsZero() && e.meta.Clock().Sub(b.Unreferenced) > keepAfter && registry.FromPusher(ctx) {
		err = e.meta.Update(ctx, func(tx *meta.Tx) error { return tx.KeepBlob(ctx, repo, d) })
	}
	return describe(b), err
}

// OpenBlob implements [registry.Reader]. That an object is missing is seen only here,
// where it costs nothing to look; from then on the blob is lost, so that clients which
// ask first what they have to push do push it.
func (e *Engine) OpenBlob(ctx context.Context, repo registry.Name, d digest.Digest, span registry.Span) (registry.Blob, error) {
	b, content, err := e.find(ctx, repo, d, span)
	if errors.Is(err, blob.ErrNotExist) {
		lost, noted := e.lose(ctx, b)
		e.log.ErrorContext(ctx, "the object of a blob is missing; berth fsck tells which images suffer",
			"repository", repo, "digest", d, "key", b.Key, "noted", lost, "error", noted)
		if noted == nil {
			b, content, err = e.find(ctx, repo, d, span) // a push may just have healed it
		}
	}
	if errors.Is(err, blob.ErrNotExist) {
		err = registry.ErrBlobUnknown.With("the registry has lost blob %s; push it again", d)
	}
	return registry.Blob{Descriptor: describe(b), Content: content}, err
}

// urlLife is how long a client has to begin the download it is sent to.
const urlLife = 20 * time.Minute

// BlobURL implements [registry.Reader], for blobs in a bucket.
func (e *Engine) BlobURL(ctx context.Context, repo registry.Name, d digest.Digest) (string, error) {
	store, ok := e.blobs.(blob.Presigner)
	if !ok {
		return "", registry.ErrUnsupported
	}
	b, err := e.meta.Blob(ctx, repo, d)
	if err != nil {
		return "", err
	}
	if b.Key == "" {
		return "", registry.ErrUnsupported
	}
	url, err := store.Presign(ctx, b.Key, urlLife)
	return url, storageError(err)
}

// find finds a blob and opens it.
func (e *Engine) find(ctx context.Context, repo registry.Name, d digest.Digest, span registry.Span) (meta.Blob, io.ReadSeekCloser, error) {
	b, err := e.meta.Blob(ctx, repo, d)
	if err != nil {
		return b, nil, err
	}
	content, err := e.open(ctx, b, blob.Span(span))
	return b, content, err
}

// lose notes that the object of b is missing or damaged, unless the blob has another by
// now.
func (e *Engine) lose(ctx context.Context, b meta.Blob) (lost bool, err error) {
	ctx = context.WithoutCancel(ctx)
	err = e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		lost, err = tx.LoseBlob(ctx, b)
		return err
	})
	e.lossy.forget()
	return lost, err
}

// open opens the bytes of a blob wherever they lie.
func (e *Engine) open(ctx context.Context, b meta.Blob, span blob.Span) (io.ReadSeekCloser, error) {
	if b.Key != "" {
		content, err := e.blobs.Open(ctx, b.Key, span)
		return content, storageError(err)
	}
	content, err := e.meta.BlobContent(ctx, b.Digest)
	return inMemory{bytes.NewReader(content)}, err
}

// inMemory is a small blob that is read.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// MountBlob implements [registry.Writer].
func (e *Engine) MountBlob(ctx context.Context, repo, from registry.Name, d digest.Digest) (registry.Descriptor, error) {
	if from == "" {
		holders, err := e.meta.BlobRepositories(ctx, d, "", 1)
		if err != nil {
			return registry.Descriptor{}, err
		}
		if len(holders) == 0 {
			return registry.Descriptor{}, registry.ErrBlobUnknown
		}
		from = holders[0]
	}
	var b meta.Blob
	err := e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		if b, err = tx.Blob(ctx, from, d); err != nil {
			if errors.Is(err, registry.ErrNameUnknown) {
				return registry.ErrBlobUnknown.With("repository %q does not exist", from)
			}
			return err
		}
		if from != repo {
			if err := mayMount(ctx, tx); err != nil {
				return err
			}
		}
		r, err := e.repository(ctx, tx, repo)
		if err != nil {
			return err
		}
		return tx.LinkBlob(ctx, r, d)
	})
	if err == nil {
		e.warn(ctx, repo)
	}
	return describe(b), err
}

// mayMount refuses where an account setting says that blobs are not shared. Clients then
// push them.
func mayMount(ctx context.Context, tx *meta.Tx) error {
	text, err := tx.Setting(ctx, registry.BlobMountingSetting)
	if err == nil && text == registry.MountingDisabled {
		err = registry.ErrBlobUnknown.With("blobs are not mounted across repositories here; push it")
	}
	return err
}

// DeleteBlob implements [registry.Deleter]. The bytes stay: other repositories may
// use them, and garbage collection finds out.
func (e *Engine) DeleteBlob(ctx context.Context, repo registry.Name, d digest.Digest) error {
	return e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, repo)
		if err != nil {
			return err
		}
		return tx.DeleteBlob(ctx, r, d)
	})
}

// BlobRepositories implements [registry.Lister].
func (e *Engine) BlobRepositories(ctx context.Context, d digest.Digest, last registry.Name, limit int) ([]registry.Name, error) {
	return e.meta.BlobRepositories(ctx, d, last, limit)
}

// publish names the committed object of u and makes it visible, and u is over. If the
// registry has the same bytes already, the new object goes, unless the old one turns
// out to be lost: then it heals the blob. The row of u stays as long as there is an
// object that only it leads to. What does not fit under a quota is discarded.
func (e *Engine) publish(ctx context.Context, u meta.Upload, b meta.Blob) error {
	var known meta.Blob
	err := e.meta.Update(ctx, func(tx *meta.Tx) error {
		r, err := e.repository(ctx, tx, u.Repo)
		if err != nil {
			return err
		}
		if known, err = tx.PutBlob(ctx, b); err != nil {
			return err
		}
		if known.Key == b.Key {
			if err := tx.DeleteUpload(ctx, u); err != nil {
				return err
			}
		}
		return tx.LinkBlob(ctx, r, b.Digest)
	})
	if err != nil || known.Key == b.Key {
		return e.discardRefused(ctx, u, err)
	}
	lost, err := e.lost(ctx, known)
	if err != nil {
		return err
	}
	if lost {
		healed, err := e.heal(ctx, u, known, b)
		if healed || err != nil {
			return err
		}
	}
	if err := e.dropUpload(ctx, u); err != nil {
		// The client has what it wanted. The rest goes when the upload expires.
		e.log.WarnContext(ctx, "what was pushed once more cannot be removed yet", "upload", u.ID, "key", u.Key, "error", err)
	}
	return nil
}

// heal makes the object of u that of a blob whose own is lost or damaged, unless
// another push has been faster. A damaged object is removed afterwards.
func (e *Engine) heal(ctx context.Context, u meta.Upload, known, b meta.Blob) (healed bool, err error) {
	err = e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		if healed, err = tx.MoveBlob(ctx, known, b); err != nil || !healed {
			return err
		}
		if known.Key != "" {
			if err := tx.DeleteObjects(ctx, []blob.Key{known.Key}); err != nil {
				return err
			}
		}
		return tx.DeleteUpload(ctx, u)
	})
	if err != nil || !healed {
		return false, err
	}
	e.log.WarnContext(ctx, "a push has healed a blob whose object was lost", "digest", b.Digest, "key", b.Key)
	return true, nil
}

// lost reports whether the object of a blob is not what its row says.
func (e *Engine) lost(ctx context.Context, b meta.Blob) (bool, error) {
	if b.Lost || b.Key == "" {
		return b.Lost, nil
	}
	size, err := e.blobs.Size(ctx, b.Key)
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return false, fmt.Errorf("looking for the object of %s: %w", b.Digest, storageError(err))
	}
	return err != nil || size != b.Size, nil
}
