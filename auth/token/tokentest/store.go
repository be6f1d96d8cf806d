// Package tokentest helps to test what builds on token: a key store in memory, and
// the suite that every token.KeyStore passes.
package tokentest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"berth/auth/token"
)

// KeyStore is a token.KeyStore in memory.
type KeyStore struct {
	mu   sync.Mutex
	keys []token.Key
}

var _ token.KeyStore = (*KeyStore)(nil)

// Keys lists the keys.
func (s *KeyStore) Keys(ctx context.Context) ([]token.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), ctx.Err()
}

// AddKey keeps a key.
func (s *KeyStore) AddKey(_ context.Context, k token.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.keys, func(o token.Key) bool { return o.ID == k.ID }) {
		return token.ErrKeyExists
	}
	k.Private = bytes.Clone(k.Private)
	s.keys = append(s.keys, k)
	slices.SortFunc(s.keys, func(a, b token.Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return nil
}

// DeleteKey forgets a key.
func (s *KeyStore) DeleteKey(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.keys)
	s.keys = slices.DeleteFunc(s.keys, func(k token.Key) bool { return k.ID == id })
	if len(s.keys) == n {
		return token.ErrKeyUnknown
	}
	return nil
}

// RunKeyStore checks that a store does what token.KeyStore says. open returns an
// empty store for each test and closes it when the test ends.
func RunKeyStore(t *testing.T, open func(t *testing.T) token.KeyStore) {
	t.Run("keys", func(t *testing.T) { testKeys(t, open(t)) })
	t.Run("concurrency", func(t *testing.T) { testConcurrency(t, open(t)) })
}

func testKeys(t *testing.T, s token.KeyStore) {
	ctx := t.Context()
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	younger := token.Key{ID: "a", Private: []byte{0, 1, 0xff}, CreatedAt: day.Add(time.Second)}
	older := token.Key{ID: "b", Private: []byte{2}, CreatedAt: day}
	twin := token.Key{ID: "c", Private: []byte{2}, CreatedAt: day}
	check := func(want ...token.Key) {
		t.Helper()
		got, err := s.Keys(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == len(want) && len(want) == 0 {
			return
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("keys (-want +got):\n%s", diff)
		}
	}
	expect := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Fatalf("%s: got error %v, want %v", what, got, want)
		}
	}
	check()
	expect("AddKey", s.AddKey(ctx, younger), nil)
	expect("AddKey", s.AddKey(ctx, twin), nil)
	expect("AddKey", s.AddKey(ctx, older), nil)
	check(older, twin, younger)
	expect("DeleteKey", s.DeleteKey(ctx, "c"), nil)
	expect("AddKey again", s.AddKey(ctx, token.Key{ID: "a", Private: []byte{3}, CreatedAt: day}), token.ErrKeyExists)
	check(older, younger)
	expect("DeleteKey", s.DeleteKey(ctx, "b"), nil)
	expect("DeleteKey again", s.DeleteKey(ctx, "b"), token.ErrKeyUnknown)
	check(younger)
}

func testConcurrency(t *testing.T, s token.KeyStore) {
	ctx := context.WithoutCancel(t.Context())
	const writers = 8
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if err := s.AddKey(ctx, token.Key{ID: fmt.Sprint(i), Private: []byte{byte(i)}, CreatedAt: time.Unix(int64(i), 0)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if keys, err := s.Keys(ctx); err != nil || len(keys) != writers {
		t.Errorf("%d of %d keys are there, %v", len(keys), writers, err)
	}
}
