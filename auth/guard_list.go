package auth

import (
	"cmp"
	"context"
	"errors"
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
	v, err := g.access.visit(ctx, "")
	if err != nil {
		return nil, err
	}
	sees, err := g.access.seesSome(ctx, &v.caller)
	if err != nil {
		return nil, err
	}
	p, scopes := v.principal(), []Scope{catalogScope}
	switch {
	case v.gone != "":
		return nil, g.access.report(ctx, refuseGone(p, v.gone, scopes))
	case p.IsAnonymous() && (!p.Limited || !sees):
		return nil, g.access.report(ctx, v.refuse(DescribeRepositories, scopes, Decision{}))
	case !p.holds(registryType, catalogScope.Name, "*"):
		return nil, g.access.report(ctx, refuseScope(p, DescribeRepositories, "", scopes))
	}
	return g.access.list(ctx, &v.caller, last, limit, func(last registry.Name, limit int) ([]registry.Name, error) {
		return g.next.Repositories(ctx, last, limit)
	}, DescribeRepositories, BatchGetImage)
}

// BlobRepositories shows those repositories from which the caller may take the blob.
func (g *guard) BlobRepositories(ctx context.Context, d digest.Digest, last registry.Name, limit int) ([]registry.Name, error) {
	c, err := g.access.caller(ctx, PrincipalFrom(ctx))
	if err != nil {
		return nil, err
	}
	if c.gone != "" {
		return nil, g.access.report(ctx, refuseGone(c.principal(), c.gone, nil))
	}
	general, err := g.access.general(ctx)
	if err != nil {
		return nil, err
	}
	prefixes := c.prefixes(general.registry)
	if general.special {
		prefixes = []string{""} // any of them may be open to the caller, and few have the blob
	}
	var fault error
	visible := func(name registry.Name) bool {
		v, err := g.access.at(ctx, &c, name)
		if err != nil && !errors.Is(err, ErrPolicyInvalid) {
			fault = err
		}
		return err == nil && v.may(GetDownloadUrlForLayer)
	}
	names, err := filter(last, limit, prefixes, visible, func(last registry.Name, limit int) ([]registry.Name, error) {
		if fault != nil {
			return nil, fault
		}
		return g.next.BlobRepositories(ctx, d, last, limit)
	})
	return names, cmp.Or(err, fault)
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
