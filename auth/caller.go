package auth

import (
	"slices"

	"berth/registry"
)

// caller is the principal of one request with what holds for it now.
type caller struct {
	principal Principal
	policies  []*Policy
	location  Location
	gone      string // why the credentials are not good any more; empty if they are
}

func (c *caller) decide(action Action, repo registry.Name) Decision {
	return Decide(c.policies, Request{Action: action, Repo: repo, Location: c.location})
}

// may reports whether policies and token allow action on repo.
func (c *caller) may(action Action, repo registry.Name) bool {
	return c.gone == "" && c.decide(action, repo).Allowed && c.holds(action, repo)
}

// holds reports whether the token, if there is one, is good for action on repo. On
// the registry itself a token is good for the list of repositories and no more.
func (c *caller) holds(action Action, repo registry.Name) bool {
	if repo == "" {
		return !c.principal.Limited ||
			action == DescribeRepositories && c.principal.holds(registryType, catalogScope.Name, "*")
	}
	return c.principal.holds(repositoryType, string(repo), verbsFor[action]...)
}

// check allows all of actions on repo or answers a *RefusedError about the first
// that is not.
func (c *caller) check(repo registry.Name, actions ...Action) error {
	return c.checkAlso(nil, repo, actions...)
}

// checkAlso is check for a request that takes further scopes besides.
func (c *caller) checkAlso(also []Scope, repo registry.Name, actions ...Action) error {
	if c.gone != "" {
		return refuseGone(c.principal, c.gone, scopesFor(repo, actions, also))
	}
	for _, action := range actions {
		if d := c.decide(action, repo); !d.Allowed {
			return refuseAction(c.principal, action, repo, scopesFor(repo, actions, also), d)
		}
	}
	for _, action := range actions {
		if !c.holds(action, repo) {
			return refuseScope(c.principal, action, repo, scopesFor(repo, actions, also))
		}
	}
	return nil
}

// checkAny allows if one of actions on repo is allowed, or refuses the first.
func (c *caller) checkAny(repo registry.Name, actions ...Action) error {
	var refusal error
	for _, action := range actions {
		err := c.check(repo, action)
		if err == nil {
			return nil
		}
		if refusal == nil || c.decide(action, repo).Allowed {
			refusal = err // a missing scope is what another token can mend
		}
	}
	return refusal
}

// granted is the part of a wanted scope that the policies allow.
func (c *caller) granted(wanted Scope) Scope {
	s := Scope{Type: wanted.Type, Name: wanted.Name}
	switch {
	case wanted.Type == registryType && wanted.Name == catalogScope.Name && wanted.has(nil):
		// The list shows each caller only what it may see, so there is nothing to
		// withhold from one that may see something.
		if !c.principal.IsAnonymous() || len(c.policies) > 0 {
			s.Actions = catalogScope.Actions
		}
	case wanted.Type == repositoryType:
		for _, verb := range verbs {
			if wanted.has([]string{verb}) && c.allowsSome(verb, registry.Name(wanted.Name)) {
				s.Actions = append(s.Actions, verb)
			}
		}
	}
	return s
}

// allowsSome reports whether the policies allow an action of verb on repo.
// Checking for layers is in every verb that needs it and says nothing about which.
func (c *caller) allowsSome(verb string, repo registry.Name) bool {
	return slices.ContainsFunc(verbActions[verb], func(a Action) bool {
		return (a != BatchCheckLayerAvailability || verb == Pull) && c.decide(a, repo).Allowed
	})
}

// scopesFor is what a token needs for actions on repo. A push needs pull beside it:
// clients look at what is there first, and ask for no second token afterwards.
func scopesFor(repo registry.Name, actions []Action, also []Scope) []Scope {
	if repo == "" {
		if slices.Contains(actions, DescribeRepositories) {
			return []Scope{catalogScope}
		}
		return nil // no token will do
	}
	s := Scope{Type: repositoryType, Name: string(repo)}
	for _, action := range actions {
		verb := verbsFor[action][0]
		if verb == Push {
			s.addAction(Pull)
		}
		s.addAction(verb)
	}
	slices.SortFunc(s.Actions, func(a, b string) int { return slices.Index(verbs, a) - slices.Index(verbs, b) })
	scopes := []Scope{s}
	for _, a := range also {
		scopes = addScope(scopes, a)
	}
	return scopes
}
