package auth

import (
	"context"

	"berth/registry"
)

// May is Authorize for entries of a list, which are left out unless it is allowed; that is
// no refusal.
func (a *Access) May(ctx context.Context, action Action, repo registry.Name) (bool, error) {
	v, err := a.visit(ctx, repo)
	return err == nil && v.may(action), err
}

// MayUnder is May as it would be if policy were that of repo.
func (a *Access) MayUnder(ctx context.Context, policy *Policy, action Action, repo registry.Name) (bool, error) {
	c, err := a.caller(ctx, PrincipalFrom(ctx))
	if err != nil {
		return false, err
	}
	r, err := a.policiesOf(ctx, &c, repo)
	if err != nil {
		return false, err
	}
	r.repository = policy
	v := c.at(repo, r)
	return v.may(action), nil
}
