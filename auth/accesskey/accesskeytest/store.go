// Package accesskeytest helps to test what builds on accesskey: a store in memory, and
// the suite that every accesskey.Store passes.
package accesskeytest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/authtest"
)

// Store is an accesskey.Store in memory, and the auth.Store beside it.
type Store struct {
	*authtest.Store

	mu      sync.Mutex // taken before that of accounts
	keys    map[string]accesskey.Key
	changes int64 // of keys
}

var _ Stores = (*Store)(nil)

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{Store: authtest.NewStore(), keys: map[string]accesskey.Key{}}
}

// Generation counts the changes of accounts and keys.
func (s *Store) Generation(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.Store.Generation(ctx)
	return g + s.changes, err
}

// DeleteAccount removes an account with its keys.
func (s *Store) DeleteAccount(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Store.DeleteAccount(ctx, name); err != nil {
		return err
	}
	maps.DeleteFunc(s.keys, func(_ string, k accesskey.Key) bool { return k.Account == name })
	return nil
}

// AccessKey returns a key.
func (s *Store) AccessKey(_ context.Context, id string) (accesskey.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[id]
	if !ok {
		return accesskey.Key{}, accesskey.ErrUnknown
	}
	return k, nil
}

// AccessKeys lists the keys of an account.
func (s *Store) AccessKeys(_ context.Context, account string) ([]accesskey.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(account), nil
}

func (s *Store) of(account string) []accesskey.Key {
	var keys []accesskey.Key
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		if s.keys[id].Account == account {
			keys = append(keys, s.keys[id])
		}
	}
	return keys
}

// AllAccessKeys lists keys.
func (s *Store) AllAccessKeys(_ context.Context, after string, limit int) ([]accesskey.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []accesskey.Key
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		if id > after && len(keys) < limit {
			keys = append(keys, s.keys[id])
		}
	}
	return keys, nil
}

// CreateAccessKey keeps a key.
func (s *Store) CreateAccessKey(ctx context.Context, k accesskey.Key, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.Account(ctx, k.Account)
	if err == nil && a.Kind == auth.Role {
		err = auth.ErrAccountInvalid
	}
	if err != nil {
		return err
	}
	if _, taken := s.keys[k.ID]; taken {
		return accesskey.ErrExists
	}
	if len(s.of(k.Account)) >= limit {
		return accesskey.ErrLimit
	}
	k.Sealed = bytes.Clone(k.Sealed)
	s.keys[k.ID] = k
	s.changes++
	return nil
}

// SetAccessKeyDisabled switches a key off or on.
func (s *Store) SetAccessKeyDisabled(_ context.Context, id string, disabled bool) error {
	return s.change(id, func(k *accesskey.Key) { k.Disabled = disabled })
}

// ResealAccessKey replaces what is sealed of a key.
func (s *Store) ResealAccessKey(_ context.Context, id string, sealed []byte) error {
	return s.change(id, func(k *accesskey.Key) { k.Sealed = bytes.Clone(sealed) })
}

func (s *Store) change(id string, change func(*accesskey.Key)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[id]
	if !ok {
		return accesskey.ErrUnknown
	}
	change(&k)
	s.keys[id] = k
	s.changes++
	return nil
}

// UseAccessKey notes the use of a key.
func (s *Store) UseAccessKey(_ context.Context, id string, at time.Time, apart time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[id]; ok && (k.LastUsedAt.IsZero() || at.Sub(k.LastUsedAt) >= apart) {
		k.LastUsedAt = at
		s.keys[id] = k
	}
	return nil
}

// DeleteAccessKey removes a key.
func (s *Store) DeleteAccessKey(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[id]; !ok {
		return accesskey.ErrUnknown
	}
	delete(s.keys, id)
	s.changes++
	return nil
}
