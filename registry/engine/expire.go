package engine

import (
	"context"
	"errors"
	"time"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/meta"
)

// Expired is an upload that was given up.
type Expired struct {
	ID         registry.UploadID `json:"upload"`
	Repository registry.Name     `json:"repository"`
	Bytes      int64             `json:"bytes"`
	IdleSince  time.Time         `json:"idleSince"`
}

// ExpireUploads removes uploads that nothing has been added to since before, and
// tells done of each. With dryRun it only tells. One that cannot be removed is not in the
// way of the others: the first such error is returned in the end.
func (e *Engine) ExpireUploads(ctx context.Context, before time.Time, dryRun bool, done func(Expired)) error {
	err := e.expireIdle(ctx, before, dryRun, done)
	if dryRun || concernsAll(ctx, err) {
		return err
	}
	return errors.Join(err, e.discardStrays(ctx, before))
}

func (e *Engine) expireIdle(ctx context.Context, before time.Time, dryRun bool, done func(Expired)) error {
	const step = 100
	var failed error // the first
	for last := registry.UploadID(""); ; {
		idle, err := e.meta.IdleUploads(ctx, before, last, step)
		if err != nil {
			return err
		}
		for _, u := range idle {
			last = u.ID
			if !dryRun {
				if err := ctx.Err(); err != nil {
					return err
				}
				err := e.expireUpload(ctx, u)
				if errors.Is(err, registry.ErrRangeInvalid) || errors.Is(err, registry.ErrUploadUnknown) {
					continue // somebody is going on with it, or has ended it
				}
				if concernsAll(ctx, err) {
					return err
				}
				if err != nil {
					e.log.WarnContext(ctx, "an abandoned upload cannot be removed", "upload", u.ID, "key", u.Key, "error", err)
					if failed == nil {
						failed = err
					}
					continue
				}
			}
			done(Expired{ID: u.ID, Repository: u.Repo, Bytes: u.Received, IdleSince: u.UpdatedAt})
		}
		if len(idle) < step {
			return failed
		}
	}
}

// concernsAll reports whether err would meet every other upload too.
func concernsAll(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, registry.ErrUnavailable))
}

// expireUpload removes an idle upload, or ends the removal that a crash has cut off.
func (e *Engine) expireUpload(ctx context.Context, u meta.Upload) error {
	if u.Closed() {
		return e.removeUpload(ctx, u)
	}
	if !e.claim(u.ID) {
		return errBusy
	}
	defer e.release(u.ID)
	return e.dropUpload(context.WithoutCancel(ctx), u)
}

// discardStrays discards what was begun for uploads that are over. A server that dies
// between beginning an object and noting it leaves such a thing, and so does one that
// stood still while another ended the upload.
func (e *Engine) discardStrays(ctx context.Context, before time.Time) error {
	store, ok := e.blobs.(blob.Sweeper)
	if !ok {
		return nil
	}
	var strays []blob.Key
	for o, err := range store.Unfinished(ctx) {
		if err != nil {
			return storageError(err)
		}
		if o.ChangedAt.Before(before) {
			strays = append(strays, o.Key)
		}
	}
	if len(strays) == 0 {
		return nil
	}
	// The row of an upload is there before its object is begun. Once it is gone nobody can
	// make a blob of what is unfinished.
	known, err := e.meta.UploadKeys(ctx)
	if err != nil {
		return err
	}
	for _, key := range strays {
		if known[key] {
			continue
		}
		if err := e.blobs.Discard(ctx, key, nil); err != nil {
			return storageError(err)
		}
		e.log.InfoContext(ctx, "removed what a server had begun of an upload that is over", "key", key)
	}
	return nil
}
