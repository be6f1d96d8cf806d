package auth

import (
	"context"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// minListPage is how many names a filtered list reads at a time: when most are
// hidden, a page of the caller's size would fetch next to nothing.
const minListPage = 200

// Repositories shows the repositories that the caller may describe or pull. Without
// any credentials it is refused even where anonymous pulls are allowed: a client that
// has credentials sends them only when it is asked to, and would take the short list
// for the whole.
func (g *guard) Repositories(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	p := PrincipalFrom(ctx)
	c, err := g.access.caller(ctx, p)
	if err != nil {
		return nil, err
	}
	scopes := []Scope{catalogScope}
	switch {
	case c.gone != "":
		return nil, g.access.report(ctx, refuseGone(p, c.gone, scopes))
	case p.IsAnonymous() && (!p.Limited || len(c.policies) == 0):
		return nil, g.access.report(ctx, refuseAction(p, DescribeRepositories, "", scopes, Decision{}))
	case !p.holds(registryType, catalogScope.Name, "*"):
		return nil, g.access.report(ctx, refuseScope(p, DescribeRepositories, "", scopes))
	}
	visible := func(name registry.Name) bool {
		return c.decide(DescribeRepositories, name).Allowed || c.decide(BatchGetImage, name).Allowed
	}
	return filter(last, limit, prefixes(c.policies), visible, func(last registry.Name, limit int) ([]registry.Name, error) {
		return g.next.Repositories(ctx, last, limit)
	})
}

// BlobRepositories shows those repositories from which the caller may take the blob.
func (g *guard) BlobRepositories(ctx context.Context, d digest.Digest, last registry.Name, limit int) ([]registry.Name, error) {
	c, err := g.access.caller(ctx, PrincipalFrom(ctx))
	if err != nil {
		return nil, err
	}
	if c.gone != "" {
		return nil, g.access.report(ctx, refuseGone(c.principal, c.gone, nil))
	}
	visible := func(name registry.Name) bool { return c.may(GetDownloadUrlForLayer, name) }
	return filter(last, limit, prefixes(c.policies), visible, func(last registry.Name, limit int) ([]registry.Name, error) {
		return g.next.BlobRepositories(ctx, d, last, limit)
	})
}

// filter makes a page of the visible names after last. It reads on until the page
// is full, since a shorter one would say that there are no more, and looks only
// where names begin with one of prefixes, so that one team's list does not read
// through the repositories of all others.
func filter(last registry.Name, limit int, prefixes []string, visible func(registry.Name) bool,
	list func(registry.Name, int) ([]registry.Name, error),
) ([]registry.Name, error) {
	if limit <= 0 {
		return nil, nil
	}
	page := make([]registry.Name, 0, min(limit, minListPage))
	for {
		var ok bool
		if last, ok = seek(prefixes, last); !ok {
			return page, nil
		}
		size := max(limit-len(page), minListPage)
		names, err := list(last, size)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if visible(name) {
				page = append(page, name)
			}
			if len(page) == limit {
				return page, nil
			}
		}
		if len(names) < size {
			return page, nil
		}
		last = names[len(names)-1]
	}
}

// seek moves last forward to where a name with one of prefixes may follow, or
// reports that none can.
func seek(prefixes []string, last registry.Name) (registry.Name, bool) {
	for _, p := range prefixes {
		if strings.HasPrefix(string(last), p) {
			return last, true
		}
		if string(last) < p {
			start := p // no name ends in a slash, so all that begin with p come after it
			if !strings.HasSuffix(p, "/") {
				start = p[:len(p)-1] // p itself may be a name
			}
			return max(last, registry.Name(start)), true
		}
	}
	return last, false
}

// prefixes are what the names begin with of which policies allow anything, in
// order, none of them beginning with another. The empty prefix is everything.
func prefixes(policies []*Policy) []string {
	var all []string
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			if s.effect == Deny {
				continue
			}
			if s.inverted {
				return []string{""}
			}
			for _, r := range s.resources {
				if r.any && !s.seesRepositories() {
					continue // GetAuthorizationToken is allowed on everything by most policies
				}
				all = append(all, literalPrefix(r.name))
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
