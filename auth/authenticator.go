package auth

import (
	"context"
	"net"
	"net/http"
	"strings"

	"berth/registry"
)

// Verifier turns a bearer token into the principal it was given to. It answers a
// *RefusedError with the reason [InvalidToken] for what is no token of ours.
type Verifier interface {
	Verify(ctx context.Context, token string) (Principal, error)
}

// LoginUser is the user name that goes with the password of Amazon ECR's
// GetAuthorizationToken. No account can have it.
const LoginUser = "AWS"

// Authenticator finds out who makes a request from its Authorization header.
type Authenticator struct {
	Login  *Login
	Tokens Verifier // nil if no tokens are given out

	// Passwords returns who has been given a password of LoginUser; nil if nobody is.
	// Errors: *RefusedError.
	Passwords func(ctx context.Context, password string) (Principal, error)

	// Address says where a request comes from; nil takes the other end of its
	// connection. Behind a proxy that would be the proxy, and one attacker's failed
	// logins would be held against everybody.
	Address func(*http.Request) string
}

// Principal returns who makes the request: [Nobody] if it has no credentials.
// Errors: *RefusedError, *ThrottledError.
func (a *Authenticator) Principal(r *http.Request) (Principal, error) {
	header, err := authorization(r)
	scheme, rest, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "":
		return Nobody, err
	case "basic":
		return a.Basic(r)
	case "bearer":
		if a.Tokens == nil {
			return Nobody, Unauthenticated(InvalidToken, "bearer tokens are not used here; send the user name and password")
		}
		p, err := a.Tokens.Verify(r.Context(), strings.TrimSpace(rest))
		return p, a.Login.access.report(r.Context(), err)
	}
	return Nobody, Unauthenticated(NoReason, "the Authorization scheme %q is not known here; use Basic or Bearer", registry.Clip(scheme))
}

// Basic returns the principal whose name and password the request carries; without
// them it is [Nobody]. Errors: those of Principal.
func (a *Authenticator) Basic(r *http.Request) (Principal, error) {
	if header, err := authorization(r); header == "" {
		return Nobody, err
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return Nobody, Unauthenticated(NoReason, "the Authorization header should be Basic, followed by name:password in base64")
	}
	return a.Check(r, name, password)
}

// authorization returns the Authorization header, or nothing. Of two, one hand may
// believe the first and another the second, so that is an error.
func authorization(r *http.Request) (string, error) {
	headers := r.Header["Authorization"]
	switch len(headers) {
	case 0:
		return "", nil
	case 1:
		return headers[0], nil
	}
	return "", Unauthenticated(NoReason, "the request has more than one Authorization header")
}

// Check checks a name and password that came with the request in another place.
// Errors: those of Principal.
func (a *Authenticator) Check(r *http.Request, name, password string) (Principal, error) {
	if name == LoginUser && a.Passwords != nil {
		p, err := a.Passwords(r.Context(), password)
		return p, a.Login.access.report(r.Context(), err)
	}
	return a.Login.Check(r.Context(), name, password, a.address(r))
}

func (a *Authenticator) address(r *http.Request) string {
	if a.Address != nil {
		return a.Address(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
