package token

import (
	"github.com/golang-jwt/jwt/v5"

	"berth/auth"
)

// claims is what a token says.
// https://distribution.github.io/distribution/spec/auth/jwt/
type claims struct {
	jwt.RegisteredClaims
	Kind       auth.Kind    `json:"kind"`
	Access     []auth.Scope `json:"access"`
	Credential string       `json:"cred,omitempty"` // [auth.Principal].Credential
}

// refreshAudience keeps refresh tokens apart from access tokens: neither passes for
// the other.
func refreshAudience(service string) string { return service + "#refresh" }

// principal is who an access token was given to.
func (c *claims) principal() auth.Principal {
	return auth.Principal{
		Name: c.Subject, Kind: c.Kind, Credential: c.Credential,
		Limited: true, Scopes: c.Access,
	}
}

// valid reports whether the claims go together as the issuer makes them.
func (c *claims) valid() bool {
	switch c.Kind {
	case auth.Anonymous:
		return c.Subject == ""
	case auth.User, auth.Robot:
		return c.Subject != "" && c.Credential != ""
	}
	return false
}
