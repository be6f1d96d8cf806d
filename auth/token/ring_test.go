package token_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/auth"
	"berth/auth/token"
	"berth/auth/token/tokentest"
	"berth/registry"
)

// countingStore counts how often the keys are read, and can fail.
type countingStore struct {
	tokentest.KeyStore
	reads atomic.Int64
	fault atomic.Pointer[error]
}

func (s *countingStore) Keys(ctx context.Context) ([]token.Key, error) {
	s.reads.Add(1)
	if err := s.fault.Load(); err != nil {
		return nil, *err
	}
	return s.KeyStore.Keys(ctx)
}

func kidOf(t *testing.T, s token.KeyStore) []string {
	t.Helper()
	keys, err := s.Keys(context.Background())
	must(t, err)
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids
}

const month = 30 * 24 * time.Hour

func TestKeysRotate(t *testing.T) {
	ctx, c, store := t.Context(), newClock(), &tokentest.KeyStore{}
	a, b := newIssuer(t, store, c), newIssuer(t, store, c)
	verify := func(i *token.Issuer, text string) error {
		_, err := i.Verify(ctx, text)
		return err
	}
	first := issue(t, a)
	must(t, verify(b, first))
	must(t, verify(b, issue(t, b)))
	if n := len(kidOf(t, store)); n != 1 {
		t.Fatalf("%d keys at first", n)
	}
	refresh, err := a.IssueRefresh(ctx, ci)
	must(t, err)

	c.Advance(month)
	header := func(text string) string { return strings.Split(text, ".")[0] }
	late := issue(t, a)
	if n := len(kidOf(t, store)); n != 2 || header(late) != header(first) {
		t.Errorf("%d keys; the new one signs at once: %v", n, header(late) != header(first))
	}
	must(t, verify(b, late))
	c.Advance(3 * time.Minute)
	second := issue(t, a)
	if header(second) == header(first) {
		t.Error("the new key does not sign")
	}
	must(t, verify(b, second))

	for range 4 {
		c.Advance(month)
		issue(t, b)
		c.Advance(3 * time.Minute)
		must(t, verify(a, issue(t, b)))
	}
	if n := len(kidOf(t, store)); n > 6 {
		t.Errorf("%d keys are kept", n)
	}
	if _, err := a.VerifyRefresh(ctx, refresh.Text); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("a refresh token after its end: %v", err)
	}
}

func TestRefreshTokensOutliveTheirKeysTime(t *testing.T) {
	ctx, c, store := t.Context(), newClock(), &tokentest.KeyStore{}
	i := newIssuer(t, store, c)
	issue(t, i)
	c.Advance(month - time.Minute)
	refresh, err := i.IssueRefresh(ctx, ci)
	must(t, err)
	for range 3 {
		c.Advance(month - time.Minute)
		issue(t, i)
		_, err := i.VerifyRefresh(ctx, refresh.Text)
		must(t, err)
	}
}

func TestKeysAfterALongSleep(t *testing.T) {
	c, store := newClock(), &tokentest.KeyStore{}
	i := newIssuer(t, store, c)
	old := issue(t, i)
	c.Advance(month + 80*24*time.Hour)
	if text := issue(t, i); strings.Split(text, ".")[0] == strings.Split(old, ".")[0] {
		t.Error("a key that will soon be forgotten signs")
	}
	c.Advance(3 * 365 * 24 * time.Hour)
	issue(t, i)
	if n := len(kidOf(t, store)); n != 1 {
		t.Errorf("%d keys are kept", n)
	}
}

// TestProcessesAgree starts many issuers on an empty store at once; each verifies
// what the others sign.
func TestProcessesAgree(t *testing.T) {
	c, store := newClock(), &tokentest.KeyStore{}
	const processes = 6
	issuers := make([]*token.Issuer, processes)
	texts := make([]string, processes)
	var wg sync.WaitGroup
	for n := range processes {
		issuers[n] = newIssuer(t, store, c)
		wg.Go(func() { texts[n] = issue(t, issuers[n]) })
	}
	wg.Wait()
	c.Advance(2 * time.Second)
	for _, i := range issuers {
		for _, text := range texts {
			if _, err := i.Verify(t.Context(), text); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestUnknownKeysDoNotFloodTheStore(t *testing.T) {
	c, store := newClock(), &countingStore{}
	i := newIssuer(t, store, c)
	good := issue(t, i)
	key, _ := storedKey(t, store)
	before := store.reads.Load()
	for range 1000 {
		if _, err := i.Verify(t.Context(), forge(t, es256, key, "unknown", nil)); err == nil {
			t.Fatal("passes")
		}
	}
	if n := store.reads.Load() - before; n > 1 {
		t.Errorf("the keys were read %d times", n)
	}

	down := errors.New("no database")
	store.fault.Store(&down)
	c.Advance(2 * time.Minute)
	if _, err := i.Verify(t.Context(), good); err != nil {
		t.Errorf("with a known key and no database: %v", err)
	}
	issue(t, i)
	if _, err := i.Verify(t.Context(), forge(t, es256, key, "unknown", nil)); !errors.Is(err, down) {
		t.Errorf("with an unknown key and no database: %v", err)
	}
	if _, err := newIssuer(t, store, c).Issue(t.Context(), ci, nil); !errors.Is(err, down) {
		t.Errorf("without any key: %v", err)
	}
}

func TestDamagedKeysAreLeftOut(t *testing.T) {
	c, store := newClock(), &tokentest.KeyStore{}
	must(t, store.AddKey(t.Context(), token.Key{ID: "damaged", Private: []byte("x"), CreatedAt: c.Now()}))
	i, err := token.NewIssuer(store, token.Options{Clock: c.Now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	tok, err := i.Issue(t.Context(), ci, nil)
	must(t, err)
	_, err = i.Verify(t.Context(), tok.Text)
	must(t, err)
}

func TestConcurrentUse(t *testing.T) {
	c, store := newClock(), &tokentest.KeyStore{}
	i := newIssuer(t, store, c)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				tok, err := i.Issue(context.Background(), ci, scopes)
				if err != nil {
					t.Error(err)
					return
				}
				if p, err := i.Verify(context.Background(), tok.Text); err != nil || p.Kind != auth.User {
					t.Error(p, err)
				}
				c.Advance(time.Second)
			}
		})
	}
	wg.Wait()
}
