package engine

import (
	"context"
	"errors"
	"time"

	"berth/registry"
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
	// A dry run sees the same page again, so it takes one that has them all.
	step := 100
	if dryRun {
		step = 1_000_000
	}
	for {
		idle, err := e.meta.IdleUploads(ctx, before, step)
		if err != nil {
			return err
		}
		removed := 0
		for _, u := range idle {
			if !dryRun {
				err := e.CancelUpload(ctx, u.Repo, u.ID)
				if errors.Is(err, registry.ErrRangeInvalid) || errors.Is(err, registry.ErrUploadUnknown) {
					continue // somebody has gone on with it, or has ended it
				}
				if err != nil {
					return err
				}
			}
			removed++
			done(Expired{ID: u.ID, Repository: u.Repo, Bytes: u.Received, IdleSince: u.UpdatedAt})
		}
		if dryRun || len(idle) < step || removed == 0 {
			return nil
		}
	}
}
