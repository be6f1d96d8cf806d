package auth

import (
	"fmt"

	"berth/registry"
)

// Reason is why a bearer token did not do, in the words of RFC 6750, section 3.1.
type Reason string

// The reasons of RFC 6750. Without a token there is none.
const (
	NoReason          Reason = ""
	InvalidToken      Reason = "invalid_token"
	InsufficientScope Reason = "insufficient_scope"
)

// RefusedError is the answer to a request that may not be made. It belongs to
// registry.ErrUnauthorized if other credentials or another token could help, and to
// registry.ErrDenied if the principal is known and may not. It never depends on
// what the registry holds.
type RefusedError struct {
	Principal Principal
	Login     string        // the name that came with a wrong password, or with that of a disabled account
	Action    Action        // empty if the credentials themselves were refused
	Repo      registry.Name // empty if the request is about no single repository
	Scopes    []Scope       // what a token has to hold for the request
	Reason    Reason

	location Location
	decision *Decision // of the policies, if it was they who refused
	err      *registry.Error
}

func (e *RefusedError) Error() string { return e.err.Error() }

// Unwrap is the error as clients see it.
func (e *RefusedError) Unwrap() error { return e.err }

// Unauthenticated refuses credentials, with a message for a person.
func Unauthenticated(reason Reason, format string, args ...any) *RefusedError {
	return &RefusedError{Principal: Nobody, Reason: reason, err: registry.ErrUnauthorized.With(format, args...)}
}

// refuseGone refuses a principal whose account is not what it was.
func refuseGone(p Principal, why string, scopes []Scope) *RefusedError {
	e := &RefusedError{Principal: p, Scopes: scopes, err: registry.ErrUnauthorized.With("%s; log in again", why)}
	if p.Limited {
		e.Reason = InvalidToken
	}
	return e
}

// refuseScope refuses a token that is not for this.
func refuseScope(p Principal, action Action, repo registry.Name, scopes []Scope) *RefusedError {
	takes := "the user name and password"
	if len(scopes) > 0 {
		takes = "one with the scope " + FormatScopes(scopes)
	}
	return &RefusedError{
		Principal: p, Action: action, Repo: repo, Scopes: scopes, Reason: InsufficientScope,
		err: registry.ErrUnauthorized.With("the token of %s is not for %s; it takes %s", p, phrase(action, repo), takes),
	}
}

// refuse refuses what no policy allows, or one denies. What the policy of a repository
// denies to those whom nothing else allows it looks as if there were no repository.
func (v *visit) refuse(action Action, scopes []Scope, d Decision) *RefusedError {
	if d.unseen {
		d = Decision{}
	}
	p, repo := v.principal(), v.request.Repo
	e := &RefusedError{Principal: p, Action: action, Repo: repo, Scopes: scopes, location: v.request.Location, decision: &d}
	switch {
	case p.IsAnonymous():
		if p.Limited {
			e.Reason = InsufficientScope
		}
		e.err = registry.ErrUnauthorized.With("authentication required: anonymous may not %s; log in first", phrase(action, repo))
	case d.Explicit:
		e.err = registry.ErrDenied.With("%s may not %s: %s denies it (statement %s); ask an administrator of the registry",
			p, phrase(action, repo), d.source(), d.Statement)
	default:
		e.err = registry.ErrDenied.With("%s may not %s; ask an administrator of the registry for a policy that allows it",
			p, phrase(action, repo))
	}
	return e
}

// IAM is the refusal of an action in the words of AWS, for clients that know those;
// empty if it was the credentials that were refused, or what a token is for.
func (e *RefusedError) IAM() string {
	if e.decision == nil {
		return ""
	}
	who, what := e.Principal.ARN(e.location), "*"
	if e.Principal.IsAnonymous() {
		who = string(Anonymous)
	}
	if e.Repo != "" {
		what = e.location.ARN(e.Repo)
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s %s", who, e.Action, what, e.decision.cause(e.Action))
}

// source is how messages call the policy that decided.
func (d Decision) source() string {
	if d.Kind == IdentityPolicy {
		return "the policy " + d.Policy
	}
	return "the policy of the " + string(d.Kind)
}

// cause is why the answer is no, in the words of AWS.
func (d Decision) cause(action Action) string {
	switch {
	case d.Explicit && d.Kind == IdentityPolicy:
		return "with an explicit deny in an identity-based policy"
	case d.Explicit:
		return "with an explicit deny in a resource-based policy"
	}
	return fmt.Sprintf("because no identity-based policy allows the %s action", action)
}

func phrase(action Action, repo registry.Name) string {
	if repo == "" {
		return string(action)
	}
	return fmt.Sprintf("%s on repository %s", action, repo)
}
