package auth

import (
	"context"
	"slices"

	"berth/registry"
)

// caller is the principal of one request with what holds for it now, wherever it goes.
type caller struct {
	request  Request // without the action as yet
	identity []*Policy
	gone     string // why the credentials are not good any more; empty if they are
	unknown  bool   // there is no such account
}

func (c *caller) principal() Principal { return c.request.Principal }

// visit is a caller at one repository, or at the registry itself, and what holds there.
type visit struct {
	caller
	policies Policies
}

// visit finds what holds for the principal of ctx at repo, which is empty for the
// registry itself.
func (a *Access) visit(ctx context.Context, repo registry.Name) (visit, error) {
	c, err := a.caller(ctx, PrincipalFrom(ctx))
	if err != nil {
		return visit{}, err
	}
	return a.at(ctx, &c, repo)
}

// at finds what holds for the caller at repo.
func (a *Access) at(ctx context.Context, c *caller, repo registry.Name) (visit, error) {
	if repo == "" || c.principal().Kind == Scanner { // of which no policy speaks
		return c.at(repo, resourcePolicies{}), nil
	}
	r, err := a.policiesOf(ctx, c, repo)
	return c.at(repo, r), err
}

func (c *caller) at(repo registry.Name, r resourcePolicies) visit {
	v := visit{caller: *c, policies: Policies{Identity: c.identity, Registry: r.registry, Repository: r.repository}}
	v.request.Repo, v.request.Context.ResourceTags = repo, r.tags
	return v
}

func (v *visit) decide(action Action) Decision {
	r := v.request
	r.Action = action
	if r.Principal.Kind == Scanner {
		return decideScanner(r)
	}
	return Decide(v.policies, r)
}

// scannerActions are what it takes to read an image.
var scannerActions = []Action{BatchGetImage, GetDownloadUrlForLayer, BatchCheckLayerAvailability}

// decideScanner allows what reads an image from a repository that the token of a scanner
// names. Policies are not asked: the registry itself has decided that the image is scanned.
func decideScanner(r Request) Decision {
	p := r.Principal
	return Decision{Allowed: p.Limited && slices.Contains(scannerActions, r.Action) && r.Repo != "" &&
		p.holds(repositoryType, string(r.Repo), Pull)}
}

// may reports whether policies and token allow action.
func (v *visit) may(action Action) bool {
	return v.allows(action) && v.holds(action)
}

// allows reports whether the account may do action, whatever its token is for.
func (v *visit) allows(action Action) bool { return v.gone == "" && v.decide(action).Allowed }

// holds reports whether the token, if there is one, is good for action. On the
// registry itself a token is good for the list of repositories and no more.
func (v *visit) holds(action Action) bool {
	p := v.principal()
	if v.request.Repo == "" {
		return !p.Limited || action == DescribeRepositories && p.holds(registryType, catalogScope.Name, "*")
	}
	return p.holds(repositoryType, string(v.request.Repo), verbsFor[action]...)
}

// check allows all of actions or answers a *RefusedError about the first that is not.
func (v *visit) check(actions ...Action) error {
	return v.checkAlso(nil, actions...)
}

// checkAlso is check for a request that takes further scopes besides.
func (v *visit) checkAlso(also []Scope, actions ...Action) error {
	repo := v.request.Repo
	if v.gone != "" {
		return refuseGone(v.principal(), v.gone, scopesFor(repo, actions, also))
	}
	for _, action := range actions {
		if d := v.decide(action); !d.Allowed {
			return v.refuse(action, scopesFor(repo, actions, also), d)
		}
	}
	for _, action := range actions {
		if !v.holds(action) {
			return refuseScope(v.principal(), action, repo, scopesFor(repo, actions, also))
		}
	}
	return nil
}

// checkAny allows if one of actions is allowed, or refuses the first.
func (v *visit) checkAny(actions ...Action) error {
	var refusal error
	for _, action := range actions {
		err := v.check(action)
		if err == nil {
			return nil
		}
		if refusal == nil || v.decide(action).Allowed {
			refusal = err // a missing scope is what another token can mend
		}
	}
	return refusal
}

// granted is the part of a wanted scope that the policies allow.
func (a *Access) granted(ctx context.Context, c *caller, wanted Scope) (Scope, error) {
	s := Scope{Type: wanted.Type, Name: wanted.Name}
	switch {
	case wanted.Type == registryType && wanted.Name == catalogScope.Name && wanted.has(nil):
		// The list shows each caller only what it may see, so there is nothing to
		// withhold from one that may see something.
		sees, err := a.seesSome(ctx, c)
		if err != nil {
			return s, err
		}
		if sees {
			s.Actions = catalogScope.Actions
		}
	case wanted.Type == repositoryType:
		v, err := a.at(ctx, c, registry.Name(wanted.Name))
		if err != nil {
			return s, err
		}
		for _, verb := range verbs {
			if wanted.has([]string{verb}) && v.allowsSome(verb) {
				s.Actions = append(s.Actions, verb)
			}
		}
	}
	return s, nil
}

// seesSome reports whether there may be repositories that the caller sees in a list:
// for those who have not logged in, if something is open to anyone.
func (a *Access) seesSome(ctx context.Context, c *caller) (bool, error) {
	if !c.principal().IsAnonymous() || len(c.identity) > 0 {
		return true, nil
	}
	general, err := a.general(ctx)
	return err == nil && (general.registry != nil || general.special), err
}

// allowsSome reports whether the policies allow an action of verb.
// Checking for layers is in every verb that needs it and says nothing about which.
func (v *visit) allowsSome(verb string) bool {
	return slices.ContainsFunc(verbActions[verb], func(action Action) bool {
		return (action != BatchCheckLayerAvailability || verb == Pull) && v.decide(action).Allowed
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
