package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"berth/auth/internal/recent"
	"berth/registry"
)

// What is remembered of the policies of resources. A policy takes some ten kilobytes at
// most; many repositories often have the same.
const (
	maxResources = 2000
	maxCompiled  = 500
)

// resources remembers the policies of repositories and of the registry.
type resources struct {
	remembered *recent.Map[registry.Name, *resourcePolicies]
	compiled   *recent.Map[compiledKey, *Policy]

	mu      sync.RWMutex
	general *generalPolicies
}

type compiledKey struct {
	kind     PolicyKind
	document string
}

// resourcePolicies are what holds at one repository.
type resourcePolicies struct {
	generation int64
	repository *Policy
	registry   *Policy
	tags       map[string]string
}

// generalPolicies are what holds at repositories that have no policy of their own.
type generalPolicies struct {
	generation int64
	registry   *Policy
	special    bool // there are repositories that have one
}

// readsTags reports whether tags of repositories make a difference to the caller.
func (g *generalPolicies) readsTags(c *caller) bool {
	return g.registry != nil && g.registry.readsTags ||
		slices.ContainsFunc(c.identity, func(p *Policy) bool { return p.readsTags })
}

// general returns what holds at repositories of which nothing special is known.
func (a *Access) general(ctx context.Context) (*generalPolicies, error) {
	return current(ctx, a.store, func(generation int64) *generalPolicies {
		a.resources.mu.RLock()
		defer a.resources.mu.RUnlock()
		if g := a.resources.general; g != nil && g.generation == generation {
			return g
		}
		return nil
	}, func() (*generalPolicies, error) {
		rules, err := a.store.Resource(ctx, "")
		if err != nil {
			return nil, fmt.Errorf("read the policy of the registry: %w", err)
		}
		special, err := a.store.Resources(ctx, "", 1, false)
		if err != nil {
			return nil, fmt.Errorf("read which repositories have policies: %w", err)
		}
		p, err := a.compile(RegistryPolicy, rules.Registry)
		return &generalPolicies{registry: p, special: len(special) > 0}, err
	}, func(generation int64, g *generalPolicies) {
		g.generation = generation
		a.resources.mu.Lock()
		defer a.resources.mu.Unlock()
		a.resources.general = g
	})
}

// policiesOf returns what holds for the caller at repo. While no repository has a policy
// and nothing asks for tags, there is nothing to be read for each.
func (a *Access) policiesOf(ctx context.Context, c *caller, repo registry.Name) (resourcePolicies, error) {
	general, err := a.general(ctx)
	if err != nil {
		return resourcePolicies{}, err
	}
	if !general.special && !general.readsTags(c) {
		return resourcePolicies{registry: general.registry}, nil
	}
	r, err := current(ctx, a.store, func(generation int64) *resourcePolicies {
		if r, ok := a.resources.remembered.Get(repo); ok && r.generation == generation {
			return r
		}
		return nil
	}, func() (*resourcePolicies, error) {
		rules, err := a.store.Resource(ctx, repo)
		if err != nil {
			return nil, fmt.Errorf("read the policy of the repository %s: %w", repo, err)
		}
		r, err := a.compileRules(rules)
		return &r, err
	}, func(generation int64, r *resourcePolicies) {
		r.generation = generation
		a.resources.remembered.Put(repo, r)
	})
	if err != nil {
		return resourcePolicies{}, err
	}
	return *r, nil
}

// compileRules reads the policies of a repository and of the registry.
func (a *Access) compileRules(rules ResourceRules) (r resourcePolicies, err error) {
	r.tags = rules.Tags
	if r.repository, err = a.compile(RepositoryPolicy, rules.Policy); err != nil {
		return r, fmt.Errorf("%s: %w", rules.Repository, err)
	}
	r.registry, err = a.compile(RegistryPolicy, rules.Registry)
	return r, err
}

// compile reads a policy of a resource; nil if there is none. One that cannot be read
// may deny anything, so nothing can be decided where it holds.
func (a *Access) compile(kind PolicyKind, document string) (*Policy, error) {
	if document == "" {
		return nil, nil
	}
	key := compiledKey{kind, document}
	if p, ok := a.resources.compiled.Get(key); ok {
		return p, nil
	}
	p, err := parse(&Policy{Kind: kind, Document: document})
	if err != nil {
		return nil, fmt.Errorf("the policy of the %s cannot be read: %w", kind, err)
	}
	a.resources.compiled.Put(key, p)
	return p, nil
}
