package accesskey_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/accesskey/accesskeytest"
	"berth/auth/sigv4"
)

func TestKeys(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	c := w.create(t)
	for range 2 { // the second is remembered
		s := w.wantOwner(t, "a key", c, "alice")
		a, err := w.store.Account(ctx, "alice")
		must(t, err)
		want := auth.Principal{Name: "alice", Kind: auth.User, Credential: a.Fingerprint()}
		if got := s.Owner.Principal(); got.Name != want.Name || got.Kind != want.Kind || got.Credential != want.Credential || got.Limited {
			t.Errorf("the principal is %+v, want %+v", got, want)
		}
	}
	wrong := c
	wrong.SecretAccessKey = alter(c.SecretAccessKey, 39)
	if _, err := w.verify(t, wrong); err == nil {
		t.Error("another secret passes")
	}
	with := c
	with.SessionToken = "token"
	w.wantRefused(t, "with a session token", with, sigv4.ErrKeyUnknown)
	for _, id := range []string{alter(c.AccessKeyID, 19), "AKIA", "AKIAaaaaaaaaaaaaaaaa", c.AccessKeyID + "A"} {
		unknown := c
		unknown.AccessKeyID = id
		w.wantRefused(t, id, unknown, sigv4.ErrKeyUnknown)
	}
}

// TestKeysEnd has everything that ends a key, each after it was remembered, and what
// brings it back.
func TestKeysEnd(t *testing.T) {
	for _, test := range []struct {
		name      string
		end, back func(w *world, ctx context.Context, id string) error
	}{
		{
			"the key is disabled",
			func(w *world, ctx context.Context, id string) error { return w.manager.SetDisabled(ctx, id, true) },
			func(w *world, ctx context.Context, id string) error { return w.manager.SetDisabled(ctx, id, false) },
		},
		{"the key is deleted", func(w *world, ctx context.Context, id string) error { return w.manager.Delete(ctx, id) }, nil},
		{
			"the account is disabled",
			func(w *world, ctx context.Context, _ string) error { return w.accounts.SetDisabled(ctx, "alice", true) },
			func(w *world, ctx context.Context, _ string) error {
				return w.accounts.SetDisabled(ctx, "alice", false)
			},
		},
		{
			"the account is deleted and made again",
			func(w *world, ctx context.Context, _ string) error {
				return errors.Join(w.accounts.DeleteAccount(ctx, "alice"), w.store.CreateAccount(ctx, auth.Account{Name: "alice", Kind: auth.User}))
			}, nil,
		},
		{
			"the account expires",
			func(w *world, ctx context.Context, _ string) error {
				return w.store.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.ExpiresAt = w.clock.Now(); return nil })
			},
			func(w *world, ctx context.Context, _ string) error {
				return w.store.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.ExpiresAt = w.clock.Now().Add(1); return nil })
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			c := w.create(t)
			w.wantOwner(t, "before", c, "alice")
			must(t, test.end(w, t.Context(), c.AccessKeyID))
			w.wantRefused(t, "after", c, sigv4.ErrKeyUnknown)
			if test.back != nil {
				must(t, test.back(w, t.Context(), c.AccessKeyID))
				w.wantOwner(t, "again", c, "alice")
			}
		})
	}
}

// TestKeysOutliveThePassword: a key has nothing to do with the password of its account.
func TestKeysOutliveThePassword(t *testing.T) {
	w := newWorld(t)
	c := w.create(t)
	must(t, w.store.UpdateAccount(t.Context(), "alice", func(a *auth.Account) error { a.PasswordHash = "another"; return nil }))
	w.wantOwner(t, "after a new password", c, "alice")
}

// TestWrongSecret: with another configured secret than that of the keys, an operator
// has to hear of it, and clients must not be told that their keys are wrong.
func TestWrongSecret(t *testing.T) {
	w := newWorld(t)
	c := w.create(t)
	w.verifier.Keys = accesskey.NewKeys(w.store, w.store, newSealer(t, configured('z')), w.clock.Now)
	_, err := w.verify(t, c)
	wantError(t, "another secret", err, accesskey.ErrSecretUnknown)
	if refused, ok := errors.AsType[*sigv4.Error](err); ok {
		t.Errorf("the client is told %v", refused)
	}
}

// counting counts the questions that a store is asked, and can be down.
type counting struct {
	*accesskeytest.Store
	asked atomic.Int32
	down  error
}

func (c *counting) AccessKey(ctx context.Context, id string) (accesskey.Key, error) {
	c.asked.Add(1)
	if c.down != nil {
		return accesskey.Key{}, c.down
	}
	return c.Store.AccessKey(ctx, id)
}

func (c *counting) Account(ctx context.Context, name string) (auth.Account, error) {
	c.asked.Add(1)
	return c.Store.Account(ctx, name)
}

func TestKeysAreRemembered(t *testing.T) {
	w := newWorld(t)
	store := &counting{Store: w.store}
	w.verifier.Keys = accesskey.NewKeys(store, store, w.sealer, w.clock.Now)
	c := w.create(t)
	temporary := w.issue(t, w.session(t))
	for _, want := range []int32{2, 2} {
		w.wantOwner(t, "a key", c, "alice")
		w.wantOwner(t, "a session", temporary, "alice")
		if got := store.asked.Load(); got != want {
			t.Errorf("the store was asked %d times, want %d", got, want)
		}
	}
	must(t, w.accounts.SetDisabled(t.Context(), "bob", true))
	store.down = errors.New("the database is down")
	if _, err := w.verify(t, c); !errors.Is(err, store.down) {
		t.Errorf("after a change: %v; want a look at the store", err)
	}
	store.down = nil
	w.wantOwner(t, "when the store is back", c, "alice")
}

func BenchmarkKey(b *testing.B) {
	w := newWorld(b)
	temporary := w.issue(b, w.session(b))
	for name, c := range map[string]aws.Credentials{"lasting": w.create(b), "temporary": temporary} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.verifier.Keys.Key(context.Background(), c.AccessKeyID, c.SessionToken); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestSigningLater(t *testing.T) {
	w := newWorld(t)
	c := w.create(t)
	w.clock.Advance(365 * 24 * time.Hour)
	w.wantOwner(t, "a year later", c, "alice")
}
