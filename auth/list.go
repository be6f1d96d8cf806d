package auth

import (
	"context"
	"slices"
	"strings"

	"berth/registry"
)

// lister makes pages of the repositories that a caller sees. The policies of those that
// have their own are read with the names, a page at a time.
type lister struct {
	*Access
	caller  *caller
	actions []Action // with any of which a repository is seen
	general *generalPolicies
	tagged  bool                            // tags make a difference
	special map[registry.Name]ResourceRules // of the names that were read last
}

// Visible makes a page of the repositories after last on which the principal of ctx may do
// one of actions, which are among those of [statement.seesRepositories]. names is the list
// of all.
func (a *Access) Visible(ctx context.Context, last registry.Name, limit int,
	names func(registry.Name, int) ([]registry.Name, error), actions ...Action,
) ([]registry.Name, error) {
	c, err := a.caller(ctx, PrincipalFrom(ctx))
	if err != nil || c.gone != "" {
		return nil, err
	}
	return a.list(ctx, &c, last, limit, names, actions...)
}

// list is Visible to c. It looks where the policies of the caller and of the registry allow
// anything, and at the repositories that have policies of their own.
func (a *Access) list(ctx context.Context, c *caller, last registry.Name, limit int,
	names func(registry.Name, int) ([]registry.Name, error), actions ...Action,
) ([]registry.Name, error) {
	general, err := a.general(ctx)
	if err != nil || limit <= 0 {
		return nil, err
	}
	l := lister{Access: a, caller: c, actions: actions, general: general, tagged: general.readsTags(c)}
	prefixes := c.prefixes(general.registry)
	if !general.special && !l.tagged {
		return filter(last, limit, prefixes, l.visible, names)
	}
	page, err := filter(last, limit, prefixes, l.visible, func(last registry.Name, limit int) ([]registry.Name, error) {
		page, err := names(last, limit)
		if err == nil && len(page) > 0 {
			err = l.readThrough(ctx, last, page[len(page)-1])
		}
		return page, err
	})
	if err != nil || !general.special || slices.Equal(prefixes, []string{""}) {
		return page, err
	}
	more, err := filter(last, limit, []string{""}, l.visible, func(last registry.Name, limit int) ([]registry.Name, error) {
		return l.readPage(ctx, last, limit)
	})
	page = append(page, more...)
	slices.Sort(page)
	page = slices.Compact(page)
	return page[:min(limit, len(page))], err
}

// readThrough reads the policies of the repositories after last, through that of end.
func (l *lister) readThrough(ctx context.Context, last, end registry.Name) error {
	l.special = map[registry.Name]ResourceRules{}
	for last < end {
		rules, err := l.store.Resources(ctx, last, minListPage, l.tagged)
		if err != nil {
			return err
		}
		for _, r := range rules {
			l.special[r.Repository] = r
			last = r.Repository
		}
		if len(rules) < minListPage {
			return nil
		}
	}
	return nil
}

// readPage reads the policies of a page of those that have any.
func (l *lister) readPage(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	l.special = map[registry.Name]ResourceRules{}
	rules, err := l.store.Resources(ctx, last, limit, false)
	names := make([]registry.Name, 0, len(rules))
	for _, r := range rules {
		l.special[r.Repository] = r
		names = append(names, r.Repository)
	}
	return names, err
}

// visible reports whether the caller sees a repository. One whose policy cannot be read
// may deny it.
func (l *lister) visible(name registry.Name) bool {
	r := resourcePolicies{registry: l.general.registry}
	if rules, ok := l.special[name]; ok {
		var err error
		if r.repository, err = l.compile(RepositoryPolicy, rules.Policy); err != nil {
			return false
		}
		r.tags = rules.Tags
	}
	v := l.caller.at(name, r)
	return slices.ContainsFunc(l.actions, func(a Action) bool { return v.decide(a).Allowed })
}

// prefixes are what the names begin with of which the caller's policies, or that of the
// registry, allow anything, in order, none of them beginning with another. The empty
// prefix is everything.
func (c *caller) prefixes(registryPolicy *Policy) []string {
	policies := c.identity
	if registryPolicy != nil {
		policies = append(slices.Clip(policies), registryPolicy)
	}
	return prefixes(policies, &c.request)
}

func prefixes(policies []*Policy, r *Request) []string {
	var all []string
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			if s.effect == Deny || !s.principals.include(Allow, r) {
				continue
			}
			if s.inverted {
				return []string{""}
			}
			for j := range s.resources {
				x := &s.resources[j]
				switch {
				case !x.any:
					all = append(all, x.name.prefix(r))
				case s.seesRepositories():
					return []string{""}
				}
				// GetAuthorizationToken is allowed on everything by most policies.
			}
		}
	}
	slices.Sort(all)
	kept := all[:0]
	for _, p := range all {
		if len(kept) == 0 || !strings.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

// seesRepositories reports whether the statement is about actions that lists ask for.
func (s *statement) seesRepositories() bool {
	for _, a := range []Action{DescribeRepositories, BatchGetImage, GetDownloadUrlForLayer} {
		if s.actions.has(actionIndex[a]) {
			return true
		}
	}
	return false
}
