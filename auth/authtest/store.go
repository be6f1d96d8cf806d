// Package authtest helps to test what builds on auth: a store in memory, and the
// suite that every auth.Store passes.
package authtest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"berth/auth"
	"berth/registry"
)

// Store is an auth.Store in memory.
type Store struct {
	mu          sync.Mutex
	generation  int64
	accounts    map[string]auth.Account
	policies    map[string]auth.StoredPolicy
	attachments map[string]map[string]bool // account to policies
	resources   map[registry.Name]auth.ResourceRules
	registry    string // its policy
}

var _ auth.Store = (*Store)(nil)

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		accounts:    map[string]auth.Account{},
		policies:    map[string]auth.StoredPolicy{},
		attachments: map[string]map[string]bool{},
		resources:   map[registry.Name]auth.ResourceRules{},
	}
}

// Generation counts the changes.
func (s *Store) Generation(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation, ctx.Err()
}

// Account returns an account.
func (s *Store) Account(_ context.Context, name string) (auth.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[name]
	if !ok {
		return auth.Account{}, auth.ErrAccountUnknown
	}
	return a, nil
}

// Accounts lists accounts.
func (s *Store) Accounts(_ context.Context, kind auth.Kind, after string, limit int) ([]auth.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := maps.Clone(s.accounts)
	maps.DeleteFunc(of, func(_ string, a auth.Account) bool { return kind != "" && a.Kind != kind })
	return page(of, after, limit), nil
}

// CreateAccount adds an account with policies attached to it.
func (s *Store) CreateAccount(_ context.Context, a auth.Account, policies ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.accounts[a.Name]; taken {
		return auth.ErrAccountExists
	}
	for _, p := range policies {
		if _, ok := s.policies[p]; !ok && !auth.IsManaged(p) {
			return auth.ErrPolicyUnknown
		}
	}
	s.accounts[a.Name] = a
	for _, p := range policies {
		s.attach(a.Name, p)
	}
	s.generation++
	return nil
}

// UpdateAccount alters an account.
func (s *Store) UpdateAccount(_ context.Context, name string, change func(*auth.Account) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.accounts[name]
	if !ok {
		return auth.ErrAccountUnknown
	}
	a := was
	if err := change(&a); err != nil {
		return err
	}
	a.Name, a.Kind, a.CreatedAt = was.Name, was.Kind, was.CreatedAt
	s.accounts[name] = a
	s.generation++
	return nil
}

// DeleteAccount removes an account and its attachments.
func (s *Store) DeleteAccount(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.accounts[name]; !ok {
		return auth.ErrAccountUnknown
	}
	delete(s.accounts, name)
	delete(s.attachments, name)
	s.generation++
	return nil
}

// Policy returns a custom policy.
func (s *Store) Policy(_ context.Context, name string) (auth.StoredPolicy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.policies[name]
	if !ok {
		return auth.StoredPolicy{}, auth.ErrPolicyUnknown
	}
	return p, nil
}

// Policies lists custom policies.
func (s *Store) Policies(_ context.Context, after string, limit int) ([]auth.StoredPolicy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page(s.policies, after, limit), nil
}

// PutPolicy adds or replaces a custom policy.
func (s *Store) PutPolicy(_ context.Context, p auth.StoredPolicy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[p.Name] = p
	s.generation++
	return nil
}

// DeletePolicy removes a custom policy.
func (s *Store) DeletePolicy(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.policies[name]; !ok {
		return auth.ErrPolicyUnknown
	}
	for _, attached := range s.attachments {
		if attached[name] {
			return auth.ErrPolicyAttached
		}
	}
	delete(s.policies, name)
	s.generation++
	return nil
}

// Attachments lists the policies of an account.
func (s *Store) Attachments(_ context.Context, account string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.attachments[account])), nil
}

// Attach attaches a policy to an account.
func (s *Store) Attach(_ context.Context, account, policy string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.accounts[account]; !ok {
		return auth.ErrAccountUnknown
	}
	if _, ok := s.policies[policy]; !ok && !auth.IsManaged(policy) {
		return auth.ErrPolicyUnknown
	}
	s.attach(account, policy)
	s.generation++
	return nil
}

func (s *Store) attach(account, policy string) {
	if s.attachments[account] == nil {
		s.attachments[account] = map[string]bool{}
	}
	s.attachments[account][policy] = true
}

// Detach takes a policy from an account.
func (s *Store) Detach(_ context.Context, account, policy string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.accounts[account]; !ok {
		return auth.ErrAccountUnknown
	}
	if !s.attachments[account][policy] {
		return auth.ErrNotAttached
	}
	delete(s.attachments[account], policy)
	s.generation++
	return nil
}

// page is what lists answer: the values of the keys after after, by key.
func page[K ~string, V any](m map[K]V, after K, limit int) []V {
	var values []V
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key > after && len(values) < limit {
			values = append(values, m[key])
		}
	}
	return values
}
