package engine

import (
	"context"
	"errors"
	"time"

	"berth/registry"
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
// tells done of each. With dryRun it only tells.
func (e *Engine) ExpireUploads(ctx context.Context, before time.Time, dryRun bool, done func(Expired)) error {
	const step = 100
	for last := registry.UploadID(""); ; {
		idle, err := e.meta.IdleUploads(ctx, before, last, step)
		if err != nil {
			return err
		}
		for _, u := range idle {
			last = u.ID
			if !dryRun {
				err := e.expireUpload(ctx, u)
				if errors.Is(err, registry.ErrRangeInvalid) || errors.Is(err, registry.ErrUploadUnknown) {
					continue // somebody is going on with it, or has ended it
				}
				if err != nil {
					return err
				}
			}
			done(Expired{ID: u.ID, Repository: u.Repo, Bytes: u.Received, IdleSince: u.UpdatedAt})
		}
		if len(idle) < step {
			return nil
		}
	}
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
