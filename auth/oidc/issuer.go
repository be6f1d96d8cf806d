package oidc

import (
	"context"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"

	"berth/registry"
)

const (
	// fresh is how long keys are good without another look, so that one which the issuer
	// has withdrawn is out of use after that time.
	fresh = time.Hour

	// stale is how long they are good if the issuer does not answer.
	stale = 24 * time.Hour

	// Strangers can send tokens with keys that are not there. An issuer is asked for
	// its keys once in pause, and after it has failed once in retry.
	pause = time.Minute
	retry = 5 * time.Second
)

// issuer is an identity provider with its keys as they were last fetched.
type issuer struct {
	url     string
	clock   func() time.Time
	fetcher fetcher

	fetching singleflight.Group

	mu        sync.Mutex
	keys      []key
	fetchedAt time.Time
	triedAt   time.Time
	fault     error // of the last try
}

// find returns the keys with which a token of that header may be signed.
// Errors: *Error.
func (i *issuer) find(ctx context.Context, id, alg string) ([]jwt.VerificationKey, error) {
	keys, due, err := i.look(id, alg)
	if !due {
		return keys, err
	}
	// Those who come at once share one request, which goes on if the first goes away.
	done := i.fetching.DoChan("", func() (any, error) {
		i.fetch(context.WithoutCancel(ctx))
		return nil, nil
	})
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return i.known(id, alg)
}

// look returns the keys that fit, unless the issuer is due to be asked again because there
// are none or they are old.
func (i *issuer) look(id, alg string) (keys []jwt.VerificationKey, due bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock()
	if keys = i.fitting(id, alg); len(keys) > 0 && now.Sub(i.fetchedAt) < fresh {
		return keys, false, nil
	}
	if i.isDue(now) {
		return nil, true, nil
	}
	return keys, false, i.missing(id, alg, keys)
}

// known returns the keys that fit, of those that there are.
func (i *issuer) known(id, alg string) ([]jwt.VerificationKey, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := i.fitting(id, alg)
	return keys, i.missing(id, alg, keys)
}

func (i *issuer) fitting(id, alg string) (keys []jwt.VerificationKey) {
	if i.clock().Sub(i.fetchedAt) >= stale {
		return nil
	}
	for _, k := range i.keys {
		if k.fits(id, alg) {
			keys = append(keys, k.public)
		}
	}
	return keys
}

// missing is why there are no keys, or nil if there are.
func (i *issuer) missing(id, alg string, keys []jwt.VerificationKey) error {
	switch {
	case len(keys) > 0:
		return nil
	case i.fault != nil:
		return &Error{Unreachable, "The keys of the identity provider " + registry.Clip(i.url) + " could not be had; try again in a while", i.fault}
	}
	return refuse(Invalid, "The token is signed with the key %q, for %s, and the identity provider %s publishes none like that",
		registry.Clip(id), alg, registry.Clip(i.url))
}

func (i *issuer) isDue(now time.Time) bool {
	wait := pause
	if i.fault != nil {
		wait = retry
	}
	since := now.Sub(i.triedAt)
	return since >= wait || since < 0
}

// fetch asks the issuer for its keys, unless somebody else just has.
func (i *issuer) fetch(ctx context.Context) {
	i.mu.Lock()
	due := i.isDue(i.clock())
	i.mu.Unlock()
	if !due {
		return
	}
	keys, err := i.fetcher.keys(ctx, i.url)
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock()
	i.triedAt, i.fault = now, err
	if err == nil {
		i.keys, i.fetchedAt = keys, now
	}
}
