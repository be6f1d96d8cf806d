package authtest

import (
	"context"
	"maps"

	"berth/auth"
	"berth/registry"
)

// Resources is how a test gives a store's repositories and registry the policies and
// tags that auth.Store only reads.
type Resources interface {
	// SetRepository gives a repository, which it makes if need be, a policy and tags.
	SetRepository(ctx context.Context, repo registry.Name, policy string, tags map[string]string) error

	// DeleteRepository removes a repository.
	DeleteRepository(ctx context.Context, repo registry.Name) error

	// SetRegistryPolicy gives the registry a policy; empty takes it away.
	SetRegistryPolicy(ctx context.Context, policy string) error
}

var _ Resources = (*Store)(nil)

// Resource returns what holds for a repository.
func (s *Store) Resource(_ context.Context, repo registry.Name) (auth.ResourceRules, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.resources[repo]
	r.Repository, r.Registry, r.Tags = repo, s.registry, maps.Clone(r.Tags)
	return r, nil
}

// Resources lists the repositories that have a policy, or tags.
func (s *Store) Resources(_ context.Context, after registry.Name, limit int, tagged bool) ([]auth.ResourceRules, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed := maps.Clone(s.resources)
	maps.DeleteFunc(listed, func(_ registry.Name, r auth.ResourceRules) bool { return r.Policy == "" && !tagged })
	return page(listed, after, limit), nil
}

// SetRepository gives a repository a policy and tags.
func (s *Store) SetRepository(_ context.Context, repo registry.Name, policy string, tags map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.resources, repo); policy != "" || len(tags) > 0 {
		s.resources[repo] = auth.ResourceRules{Repository: repo, Policy: policy, Tags: maps.Clone(tags)}
	}
	s.generation++
	return nil
}

// DeleteRepository removes a repository.
func (s *Store) DeleteRepository(ctx context.Context, repo registry.Name) error {
	return s.SetRepository(ctx, repo, "", nil)
}

// SetRegistryPolicy gives the registry a policy.
func (s *Store) SetRegistryPolicy(_ context.Context, policy string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry = policy
	s.generation++
	return nil
}
