package oidc_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"berth/auth"
	"berth/auth/oidc"
	"berth/auth/oidc/oidctest"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is an issuer with a key, and a verifier that trusts it.
type world struct {
	clock    *clock
	key      oidctest.Key
	issuer   *oidctest.Issuer
	trusted  map[string]bool
	verifier *oidc.Verifier
}

func newWorld(t testing.TB, alg string) *world {
	t.Helper()
	w := &world{clock: &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}, key: oidctest.NewKey(t, "one", alg)}
	w.issuer = oidctest.Start(t, w.key)
	w.trusted = map[string]bool{w.issuer.URL: true}
	w.verifier = oidc.NewVerifier(func(_ context.Context, issuer string) (bool, error) { return w.trusted[issuer], nil },
		oidc.Options{Timeout: 300 * time.Millisecond, Clock: w.clock.Now})
	return w
}

// good is a token that is good.
func (w *world) good(t testing.TB) string {
	t.Helper()
	return w.key.Sign(t, w.issuer.Claims(w.clock.Now(), "alice", "berth", nil))
}

func (w *world) verify(t testing.TB, token string) (auth.WebIdentity, error) {
	t.Helper()
	return w.verifier.Verify(t.Context(), token)
}

// wantCode fails the test unless err has the code.
func wantCode(t testing.TB, what string, err error, code oidc.Code) {
	t.Helper()
	e, ok := errors.AsType[*oidc.Error](err)
	if !ok || e.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code.Name)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
