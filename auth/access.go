package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"berth/registry"
)

// maxIdentities bounds the accounts whose policies are remembered. One takes a few
// kilobytes.
const maxIdentities = 10_000

// Options are the settings of [Access]; the zero value works.
type Options struct {
	Location      Location         // of the repositories, as policies name it
	AnonymousPull []string         // patterns of repositories that anyone may pull, such as "public/*"
	Clock         func() time.Time // nil means time.Now

	// Refused is told of every refusal, by a guard or of credentials, for the audit log.
	// That GET /v2/ asks for a token is none: almost every client begins with it.
	Refused func(context.Context, *RefusedError)
}

// Access knows what holds for each principal at this moment. It remembers accounts
// and their policies for as long as the store's generation stands still, so that a
// decision costs one Generation and no other query, and yet a change is seen at
// once, whichever process made it.
type Access struct {
	store     Store
	options   Options
	anonymous []*Policy

	mu         sync.RWMutex
	generation int64
	identities map[string]*identity
}

// identity is an account with what it may do.
type identity struct {
	account     Account
	fingerprint string
	policies    []*Policy
	fault       error // a policy cannot be read, so nothing can be decided
}

// NewAccess returns the access to what store says. It answers ErrPolicyInvalid if a
// pattern for anonymous pulls is none.
func NewAccess(store Store, options Options) (*Access, error) {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	anonymous, err := anonymousPolicy(options.Location, options.AnonymousPull)
	if err != nil {
		return nil, err
	}
	return &Access{store: store, options: options, anonymous: anonymous}, nil
}

// Authorize asks whether the principal of ctx may do action on repo, which is empty
// for actions on the registry itself. Faces ask it where no guard stands before them.
// Errors: *RefusedError.
func (a *Access) Authorize(ctx context.Context, action Action, repo registry.Name) error {
	c, err := a.caller(ctx, PrincipalFrom(ctx))
	if err != nil {
		return err
	}
	return a.report(ctx, c.check(repo, action))
}

// Greet answers GET /v2/: whether the request of ctx has credentials that are good.
// Anonymous requests need a token too, since this answer is how clients learn that
// there are tokens. Errors: *RefusedError.
func (a *Access) Greet(ctx context.Context) error {
	p := PrincipalFrom(ctx)
	if p.IsAnonymous() && !p.Limited {
		return Unauthenticated(NoReason, "authentication required: log in, or ask the token service for an anonymous token")
	}
	c, err := a.caller(ctx, p)
	if err == nil && c.gone != "" {
		err = a.report(ctx, refuseGone(p, c.gone, nil))
	}
	return err
}

// Granted returns the part of wanted that p may have: on a repository each verb of
// which its policies allow at least one action. The guard asks the policies again
// about each action, and can then name the one that is missing.
// Errors: *RefusedError if the account of p is not good any more.
func (a *Access) Granted(ctx context.Context, p Principal, wanted []Scope) ([]Scope, error) {
	c, err := a.caller(ctx, p)
	if err != nil {
		return nil, err
	}
	if c.gone != "" {
		return nil, refuseGone(p, c.gone, nil)
	}
	granted := make([]Scope, 0, len(wanted))
	for _, w := range wanted {
		if s := c.granted(w); len(s.Actions) > 0 {
			granted = append(granted, s)
		}
	}
	return granted, nil
}

// caller finds what holds for p now.
func (a *Access) caller(ctx context.Context, p Principal) (caller, error) {
	c := caller{principal: p, location: a.options.Location}
	if p.IsAnonymous() {
		c.policies = a.anonymous
		return c, nil
	}
	id, err := a.identity(ctx, p.Name)
	switch {
	case errors.Is(err, ErrAccountUnknown):
		c.gone = fmt.Sprintf("%s does not exist any more", p)
		return c, nil
	case err != nil:
		return c, err
	case id.account.unusable(a.options.Clock()) != "":
		c.gone = id.account.unusable(a.options.Clock())
	case p.Credential != "" && p.Credential != id.fingerprint:
		c.gone = fmt.Sprintf("the password of %s has changed", p)
	}
	c.policies = id.policies
	return c, id.fault
}

// identity returns an account with its policies. Errors: ErrAccountUnknown.
func (a *Access) identity(ctx context.Context, name string) (*identity, error) {
	generation, err := a.store.Generation(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the generation of policies: %w", err)
	}
	a.mu.RLock()
	id := a.identities[name]
	fresh := a.generation == generation
	a.mu.RUnlock()
	if fresh && id != nil {
		return id, nil
	}
	for {
		id, err := a.load(ctx, name)
		if err != nil {
			return nil, err
		}
		after, err := a.store.Generation(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the generation of policies: %w", err)
		}
		if after == generation {
			a.remember(generation, name, id)
			return id, nil
		}
		generation = after // id may be half old and half new
	}
}

// load reads an account and its policies from the store.
func (a *Access) load(ctx context.Context, name string) (*identity, error) {
	account, err := a.store.Account(ctx, name)
	if err != nil {
		return nil, err
	}
	names, err := a.store.Attachments(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the policies of %s: %w", name, err)
	}
	id := &identity{account: account, fingerprint: account.Fingerprint()}
	for _, n := range names {
		p, ok := Managed(n)
		if !ok {
			stored, err := a.store.Policy(ctx, n)
			if errors.Is(err, ErrPolicyUnknown) {
				continue // detached and deleted since; the generation has moved
			}
			if err != nil {
				return nil, fmt.Errorf("read the policy %s: %w", n, err)
			}
			if p, err = ParsePolicy(n, stored.Document); err != nil {
				// What it denies is unknown, so nothing of the account may pass.
				id.fault = fmt.Errorf("the policy %s of %s cannot be read: %w", n, name, err)
			}
		}
		id.policies = append(id.policies, p)
	}
	id.policies = slices.Clip(id.policies)
	return id, nil
}

// remember keeps an identity that was read while the generation stood still.
func (a *Access) remember(generation int64, name string, id *identity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.generation != generation || a.identities == nil || len(a.identities) >= maxIdentities {
		a.generation, a.identities = generation, map[string]*identity{}
	}
	a.identities[name] = id
}

// report tells the audit log of a refusal.
func (a *Access) report(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok && a.options.Refused != nil {
		a.options.Refused(ctx, refused)
	}
	return err
}
