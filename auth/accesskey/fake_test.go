package accesskey_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/accesskey/accesskeytest"
	"berth/auth/sigv4"
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

// configured is a secret as it might be configured.
func configured(c byte) []byte { return bytes.Repeat([]byte{c}, 32) }

func newSealer(t testing.TB, secrets ...[]byte) *accesskey.Sealer {
	t.Helper()
	s, err := accesskey.NewSealer(secrets...)
	must(t, err)
	return s
}

// world is a store with two accounts, and all that makes and finds their keys.
type world struct {
	clock    *clock
	store    *accesskeytest.Store
	accounts *auth.Manager
	sealer   *accesskey.Sealer
	manager  *accesskey.Manager
	issuer   *accesskey.Issuer
	verifier *sigv4.Verifier[accesskey.Owner]
	changes  []accesskey.Change
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		clock:  &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)},
		store:  accesskeytest.NewStore(),
		sealer: newSealer(t, configured('a')),
	}
	w.accounts = &auth.Manager{Store: w.store, Clock: w.clock.Now}
	w.manager = &accesskey.Manager{
		Store: w.store, Sealer: w.sealer, Clock: w.clock.Now,
		Changed: func(_ context.Context, c accesskey.Change) { w.changes = append(w.changes, c) },
	}
	w.issuer = &accesskey.Issuer{Sealer: w.sealer, Clock: w.clock.Now}
	w.verifier = &sigv4.Verifier[accesskey.Owner]{
		Keys: accesskey.NewKeys(w.store, w.store, w.sealer, w.clock.Now), Services: []string{"ecr"}, Clock: w.clock.Now,
	}
	for _, name := range []string{"alice", "bob"} {
		must(t, w.store.CreateAccount(t.Context(), auth.Account{Name: name, Kind: auth.User, PasswordHash: "of " + name}))
	}
	return w
}

// create gives alice a key.
func (w *world) create(t testing.TB) aws.Credentials {
	t.Helper()
	k, secret, err := w.manager.Create(t.Context(), "alice")
	must(t, err)
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: secret}
}

// session is one of alice.
func (w *world) session(t testing.TB) accesskey.Session {
	t.Helper()
	a, err := w.store.Account(t.Context(), "alice")
	must(t, err)
	return accesskey.Session{Account: "alice", Credential: a.Fingerprint()}
}

func (w *world) issue(t testing.TB, s accesskey.Session) aws.Credentials {
	t.Helper()
	c, err := w.issuer.Issue(s, time.Hour)
	must(t, err)
	return aws.Credentials{AccessKeyID: c.KeyID, SecretAccessKey: c.Secret, SessionToken: c.SessionToken}
}

// verify has a request signed with c and verified.
func (w *world) verify(t testing.TB, c aws.Credentials) (sigv4.Signed[accesskey.Owner], error) {
	t.Helper()
	const none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://registry.example.test/", nil)
	must(t, v4.NewSigner().SignHTTP(t.Context(), c, r, none, "ecr", "us-east-1", w.clock.Now()))
	return w.verifier.Verify(r, nil)
}

// wantOwner fails the test unless c signs for an account.
func (w *world) wantOwner(t testing.TB, what string, c aws.Credentials, account string) sigv4.Signed[accesskey.Owner] {
	t.Helper()
	s, err := w.verify(t, c)
	if err != nil || s.Owner.Account.Name != account {
		t.Errorf("%s: the owner is %q, %v; want %s", what, s.Owner.Account.Name, err, account)
	}
	return s
}

// wantRefused fails the test unless what c signs is refused with just this error.
func (w *world) wantRefused(t testing.TB, what string, c aws.Credentials, want *sigv4.Error) {
	t.Helper()
	_, err := w.verify(t, c)
	if got, ok := errors.AsType[*sigv4.Error](err); !ok || *got != *want {
		t.Errorf("%s: %v; want %v", what, err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// alter changes a letter of s.
func alter(s string, i int) string {
	c := "A"
	if strings.HasPrefix(s[i:], c) {
		c = "B"
	}
	return s[:i] + c + s[i+1:]
}
