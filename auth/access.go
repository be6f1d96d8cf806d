package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"berth/auth/internal/recent"
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
// and policies for as long as the store's generation stands still, so that a
// decision costs a Generation or two and no other query, and yet a change is seen at
// once, whichever process made it.
type Access struct {
	store     Store
	options   Options
	anonymous []*Policy

	mu         sync.RWMutex
	generation int64
	identities map[string]*identity

	resources resources
}

// identity is an account with what it may do.
type identity struct {
	account     Account
	arn         string
	fingerprint string
	policies    []*Policy
	trust       *Trust // of a role; nil if it trusts nobody
	fault       error  // a policy cannot be read, so nothing can be decided
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
	return &Access{
		store: store, options: options, anonymous: anonymous,
		resources: resources{
			remembered: recent.NewMap[registry.Name, *resourcePolicies](maxResources),
			compiled:   recent.NewMap[compiledKey, *Policy](maxCompiled),
		},
	}, nil
}

// Authorize asks whether the principal of ctx may do action on repo, which is empty
// for actions on the registry itself. Faces ask it where no guard stands before them.
// Errors: *RefusedError.
func (a *Access) Authorize(ctx context.Context, action Action, repo registry.Name) error {
	v, err := a.visit(ctx, repo)
	if err != nil {
		return err
	}
	return a.report(ctx, v.check(action))
}

// Explain says what policies answer to r, and which of them: whether the account is
// disabled, or what a token is for, is left aside. r needs neither a location nor tags
// of the principal or the repository. Errors: ErrAccountUnknown.
func (a *Access) Explain(ctx context.Context, r Request) (Decision, error) {
	c, err := a.callerFor(ctx, r.Principal, r.Context)
	if err != nil {
		return Decision{}, err
	}
	if c.unknown {
		return Decision{}, fmt.Errorf("%s: %w", r.Principal.Name, ErrAccountUnknown)
	}
	v, err := a.at(ctx, &c, r.Repo)
	if err != nil {
		return Decision{}, err
	}
	return v.decide(r.Action), nil
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
		s, err := a.granted(ctx, &c, w)
		if err != nil {
			return nil, err
		}
		if len(s.Actions) > 0 {
			granted = append(granted, s)
		}
	}
	return granted, nil
}

// caller finds what holds for p, who makes the request of ctx, now.
func (a *Access) caller(ctx context.Context, p Principal) (caller, error) {
	return a.callerFor(ctx, p, a.circumstances(ctx))
}

// circumstances are those that the request of ctx comes in.
func (a *Access) circumstances(ctx context.Context) Context {
	origin := OriginFrom(ctx)
	about := Context{Secure: origin.Secure, Time: a.options.Clock(), Parameters: parametersFrom(ctx)}
	if address, err := netip.ParseAddr(origin.Address); err == nil {
		about.SourceIP = address.Unmap().WithZone("")
	}
	return about
}

// callerFor finds what holds for p under the circumstances that a request comes in.
func (a *Access) callerFor(ctx context.Context, p Principal, about Context) (caller, error) {
	c := caller{request: Request{Location: a.options.Location, Principal: p, Context: about}}
	if p.IsAnonymous() {
		c.identity = a.anonymous
		return c, nil
	}
	if p.Kind == Scanner {
		return c, nil // it has no account, and its token says all there is to know
	}
	id, err := a.identity(ctx, p.Name)
	switch {
	case errors.Is(err, ErrAccountUnknown), err == nil && (p.Kind == Role) != (id.account.Kind == Role):
		c.unknown, c.gone = true, fmt.Sprintf("%s does not exist any more", p)
		return c, nil
	case err != nil:
		return c, err
	case id.account.unusable(a.options.Clock()) != "":
		c.gone = id.account.unusable(a.options.Clock())
	case p.Credential != "" && p.Credential != id.fingerprint:
		c.gone = fmt.Sprintf("the password of %s has changed", p)
	}
	c.identity = id.policies
	c.request.arn, c.request.Context.PrincipalTags = id.arn, id.account.Tags
	return c, id.fault
}

// identity returns an account with its policies. Errors: ErrAccountUnknown.
func (a *Access) identity(ctx context.Context, name string) (*identity, error) {
	return current(ctx, a.store, func(generation int64) *identity {
		a.mu.RLock()
		defer a.mu.RUnlock()
		if a.generation != generation {
			return nil
		}
		return a.identities[name]
	}, func() (*identity, error) {
		return a.load(ctx, name)
	}, func(generation int64, id *identity) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.generation != generation || a.identities == nil || len(a.identities) >= maxIdentities {
			a.generation, a.identities = generation, map[string]*identity{}
		}
		a.identities[name] = id
	})
}

// current returns what is remembered of the present generation. If that is nothing it
// loads it anew, until the generation has stood still meanwhile, and has it remembered.
func current[T any](ctx context.Context, store Store, remembered func(int64) *T, load func() (*T, error), remember func(int64, *T)) (*T, error) {
	generation, err := store.Generation(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the generation of policies: %w", err)
	}
	if v := remembered(generation); v != nil {
		return v, nil
	}
	for {
		v, err := load()
		if err != nil {
			return nil, err
		}
		after, err := store.Generation(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the generation of policies: %w", err)
		}
		if after == generation {
			remember(generation, v)
			return v, nil
		}
		generation = after // v may be half old and half new
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
	id.arn = Principal{Name: name, Kind: account.Kind}.identityARN(a.options.Location)
	if account.Kind == Role {
		id.trust, _ = ParseTrust(account.Trust) // what cannot be read trusts nobody
	}
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

// report tells the audit log of a refusal.
func (a *Access) report(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok && a.options.Refused != nil {
		a.options.Refused(ctx, refused)
	}
	return err
}
