package accesskey

import (
	"context"
	"log/slog"
	"time"

	"berth/auth/internal/recent"
	"berth/auth/sigv4"
)

const (
	// noteEvery is how far apart the uses of a key are noted.
	noteEvery = 10 * time.Minute

	// maxNotes bounds the uses that wait to be noted. What does not fit is left to the
	// next request.
	maxNotes = 256
)

// Usage notes when keys were last used. Requests do not wait for it: [Usage.Run] does
// the writing.
type Usage struct {
	store Store
	clock func() time.Time
	log   *slog.Logger
	noted *recent.Map[string, time.Time]
	notes chan note
}

// note is a use of a key.
type note struct {
	id string
	at time.Time
}

// NewUsage returns a usage that writes to store. A nil clock means time.Now, a nil log
// slog.Default.
func NewUsage(store Store, clock func() time.Time, log *slog.Logger) *Usage {
	if clock == nil {
		clock = time.Now
	}
	if log == nil {
		log = slog.Default()
	}
	return &Usage{
		store: store, clock: clock, log: log,
		noted: recent.NewMap[string, time.Time](maxRemembered), notes: make(chan note, maxNotes),
	}
}

// Used is for [sigv4.Verifier].Used. Of temporary credentials nothing is kept.
func (u *Usage) Used(_ context.Context, s sigv4.Signed[Owner]) {
	if !isID(s.KeyID, lastingPrefix) {
		return
	}
	now := u.clock().UTC()
	if last, ok := u.noted.Get(s.KeyID); ok && now.Sub(last) < noteEvery {
		return
	}
	select {
	case u.notes <- note{s.KeyID, now}:
		u.noted.Put(s.KeyID, now)
	default:
	}
}

// Run writes what there is to note until ctx is done.
func (u *Usage) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-u.notes:
			// Other servers may have noted the same key.
			if err := u.store.UseAccessKey(ctx, n.id, n.at, noteEvery); err != nil {
				u.noted.Delete(n.id)
				u.log.WarnContext(ctx, "the use of an access key could not be noted", "key", n.id, "error", err)
			}
		}
	}
}
