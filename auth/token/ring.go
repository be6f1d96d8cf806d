package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// reloadEvery is how old what a process knows of the keys may get.
	reloadEvery = time.Minute

	// reloadAtMost bounds how often tokens of unknown keys, which anyone can send,
	// make a process look again.
	reloadAtMost = time.Second

	// prepublish is how long a new key lies in the store before tokens are signed
	// with it, so that every process has seen it by then.
	prepublish = 2 * reloadEvery

	// overlap is how long an old key may go on when its successor is late.
	overlap = time.Hour
)

// ring is the keys of an issuer. Two processes that find no key, or only an old
// one, may both make one; all processes know both, so nothing is lost by that.
type ring struct {
	store    KeyStore
	rotation time.Duration // when a key gets a successor
	keep     time.Duration // how long what a key signed may be good
	clock    func() time.Time
	log      *slog.Logger

	loading sync.Mutex // held while the store is asked

	mu     sync.RWMutex
	keys   []*signingKey // the oldest first; never written to
	loaded time.Time
}

// signer returns the key to sign with at now, and makes the next in time.
func (r *ring) signer(ctx context.Context, now time.Time) (*signingKey, error) {
	keys, loaded := r.known()
	if now.Sub(loaded) >= reloadEvery {
		if err := r.reload(ctx, reloadEvery); err != nil && len(keys) == 0 {
			return nil, err
		}
		keys, _ = r.known()
	}
	if r.due(keys, now) {
		if err := r.rotate(ctx); err != nil {
			if len(keys) == 0 {
				return nil, err
			}
			r.log.WarnContext(ctx, "no new signing key could be made; the old one goes on", "error", err)
		}
		keys, _ = r.known()
	}
	if k := r.current(keys, now); k != nil {
		return k, nil
	}
	return nil, errors.New("there is no signing key")
}

// verifier returns the key called id, or nil, looking in the store if it is not
// known yet.
func (r *ring) verifier(ctx context.Context, id string) (*signingKey, error) {
	now := r.clock()
	keys, loaded := r.known()
	if now.Sub(loaded) >= reloadEvery {
		if err := r.reload(ctx, reloadEvery); err != nil {
			r.log.WarnContext(ctx, "the signing keys could not be read again", "error", err)
		}
		keys, loaded = r.known()
	}
	if k := r.find(keys, id, now); k != nil || now.Sub(loaded) < reloadAtMost {
		return k, nil
	}
	err := r.reload(ctx, reloadAtMost)
	keys, _ = r.known()
	return r.find(keys, id, now), err
}

// known is what the process knows of the keys, and since when.
func (r *ring) known() ([]*signingKey, time.Time) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys, r.loaded
}

// find returns the key called id if tokens of it can still be good.
func (r *ring) find(keys []*signingKey, id string, now time.Time) *signingKey {
	for _, k := range keys {
		if k.id == id && !r.spent(k, now) {
			return k
		}
	}
	return nil
}

// current is the newest key that all processes have had time to see. Where there is
// none, as at the very start and after a long sleep, it is the newest.
func (r *ring) current(keys []*signingKey, now time.Time) *signingKey {
	for _, k := range slices.Backward(keys) {
		if age := now.Sub(k.created); prepublish <= age && age < r.rotation+overlap {
			return k
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return keys[len(keys)-1]
}

// due reports whether it is time for a new key.
func (r *ring) due(keys []*signingKey, now time.Time) bool {
	return len(keys) == 0 || now.Sub(keys[len(keys)-1].created) >= r.rotation
}

// spent reports whether no token signed with k can be good.
func (r *ring) spent(k *signingKey, now time.Time) bool {
	return now.Sub(k.created) >= r.rotation+overlap+r.keep
}

// reload reads the keys, unless another request has done so in the last while.
func (r *ring) reload(ctx context.Context, within time.Duration) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	if _, loaded := r.known(); r.clock().Sub(loaded) < within {
		return nil
	}
	_, err := r.load(ctx)
	return err
}

// load reads the keys. One that cannot be read is left out, with a line in the log:
// the others are still good.
func (r *ring) load(ctx context.Context) ([]*signingKey, error) {
	stored, err := r.store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	keys := make([]*signingKey, 0, len(stored))
	for _, s := range stored {
		k, err := parseKey(s)
		if err != nil {
			r.log.ErrorContext(ctx, "a signing key for tokens is left out", "error", err)
			continue
		}
		keys = append(keys, k)
	}
	slices.SortStableFunc(keys, func(a, b *signingKey) int { return a.created.Compare(b.created) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.loaded = keys, r.clock()
	return keys, nil
}

// rotate makes a new key if, as the store has it, one is due, and deletes those that
// are spent.
func (r *ring) rotate(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	keys, err := r.load(ctx)
	if err != nil {
		return err
	}
	now := r.clock()
	if !r.due(keys, now) {
		return nil
	}
	k, err := newKey(now)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	if err := r.store.AddKey(ctx, k); err != nil {
		return fmt.Errorf("keep a new signing key: %w", err)
	}
	r.log.InfoContext(ctx, "a new signing key for tokens", "kid", k.ID)
	for _, old := range keys {
		if !r.spent(old, now) {
			continue
		}
		if err := r.store.DeleteKey(ctx, old.id); err != nil && !errors.Is(err, ErrKeyUnknown) {
			return fmt.Errorf("delete a spent signing key: %w", err)
		}
	}
	_, err = r.load(ctx)
	return err
}
