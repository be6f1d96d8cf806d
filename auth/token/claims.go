package token

import (
	"github.com/golang-jwt/jwt/v5"
	"github.com/opencontainers/go-digest"

	"berth/auth"
)

// claims is what a token says.
// https://distribution.github.io/distribution/spec/auth/jwt/
type claims struct {
	jwt.RegisteredClaims
	Kind       auth.Kind         `json:"kind"`
	Access     []auth.Scope      `json:"access"`
	Credential string            `json:"cred,omitempty"` // [auth.Principal].Credential
	Session    string            `json:"session,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`

	Layer digest.Digest `json:"layer,omitempty"` // that can be read, from the repository that is the subject
}

// claimsOf is who a token is given to.
func claimsOf(p auth.Principal) claims {
	return claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: p.Name},
		Kind:             p.Kind, Credential: p.Credential, Session: p.Session, Tags: p.Tags,
	}
}

// purpose keeps tokens apart that are for other things than access tokens: none passes
// for another.
type purpose string

const (
	refreshTokens purpose = "refresh"
	logins        purpose = "login"
	downloads     purpose = "layer"
)

func (p purpose) audience(service string) string { return service + "#" + string(p) }

func (i *Issuer) audience(p purpose) string { return p.audience(i.options.Service) }

// principal is who an access token was given to.
func (c *claims) principal() auth.Principal {
	return auth.Principal{
		Name: c.Subject, Kind: c.Kind, Credential: c.Credential,
		Session: c.Session, Tags: c.Tags,
		Limited: true, Scopes: c.Access,
	}
}

// valid reports whether the claims go together as the issuer makes them.
func (c *claims) valid() bool {
	if c.Layer != "" {
		return c.Kind == auth.Anonymous && c.Subject != ""
	}
	switch c.Kind {
	case auth.Anonymous:
		return c.Subject == ""
	case auth.User, auth.Robot:
		return c.Subject != "" && c.Credential != "" && c.Session == ""
	case auth.Role:
		return c.Subject != "" && c.Credential != "" && c.Session != ""
	case auth.Scanner:
		return c.Subject == auth.ScannerFor(nil).Name && c.Credential == "" && c.Session == ""
	}
	return false
}
