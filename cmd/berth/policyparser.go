package main

import (
	"context"
	"errors"
	"fmt"

	"berth/auth"
	"berth/lifecycle"
	"berth/registry"
	"berth/storage/meta"
)

// policyParser is for [ecr.Options].Policies.
type policyParser struct {
	access   *auth.Access
	db       *meta.DB
	location auth.Location
}

// ParseRepositoryPolicy refuses, unless force is set, what would keep its author from
// setting another policy later.
func (p policyParser) ParseRepositoryPolicy(ctx context.Context, text string, repo registry.Name, force bool) error {
	policy, err := auth.ParseRepositoryPolicy(text)
	if err == nil {
		err = policy.CheckPrincipals(p.location, p.exists(ctx))
	}
	if err != nil || force || repo == "" {
		return err
	}
	may, err := p.access.MayUnder(ctx, policy, auth.SetRepositoryPolicy, repo)
	if err == nil && !may {
		err = fmt.Errorf("%w: it would keep you from setting another one later; if you mean that, use force", auth.ErrPolicyInvalid)
	}
	return err
}

func (p policyParser) ParseRegistryPolicy(ctx context.Context, text string) error {
	policy, err := auth.ParseRegistryPolicy(text)
	if err == nil {
		err = policy.CheckPrincipals(p.location, p.exists(ctx))
	}
	return err
}

// exists reports whether there is an account that a policy names.
func (p policyParser) exists(ctx context.Context) func(auth.Local) (bool, error) {
	return func(l auth.Local) (bool, error) {
		a, err := p.db.Account(ctx, l.Name)
		if errors.Is(err, auth.ErrAccountUnknown) {
			return false, nil
		}
		return err == nil && (l.Kind == auth.Role) == (a.Kind == auth.Role), err
	}
}

func (policyParser) ParseLifecyclePolicy(text string) error {
	_, err := lifecycle.Parse(text)
	return err
}
