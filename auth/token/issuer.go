package token

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"berth/auth"
	"berth/auth/internal/recent"
)

const (
	// minAccess is the shortest life of an access token: the protocol's default, which
	// old clients assume.
	minAccess = time.Minute

	// leeway is how far the clocks of two processes may be apart.
	leeway = 10 * time.Second

	// maxToken bounds what is parsed at all. The largest token the endpoint gives out,
	// with 8 KiB of scopes, has some 25 KiB.
	maxToken = 32 << 10

	// maxVerified and maxRemembered bound the verified tokens that are remembered, by
	// number and by size: a token for one repository has some 600 bytes. One of 2 KiB has
	// thirty scopes at most, which take 5 KB, so all of them take at most 40 MB. Larger
	// ones are verified each time, which takes some 100 µs.
	maxVerified   = 8192
	maxRemembered = 2 << 10
)

// Options are the settings of an [Issuer]; the zero value works.
type Options struct {
	Issuer   string           // iss of the tokens; empty means "berth"
	Service  string           // their aud, and the service clients ask for; empty means "berth"
	Access   time.Duration    // life of an access token, at least a minute; zero means 5 minutes
	Refresh  time.Duration    // life of a refresh token; zero means 90 days
	Rotation time.Duration    // how long a key signs; zero means 30 days
	Clock    func() time.Time // nil means time.Now
	Log      *slog.Logger     // nil means slog.Default
}

// Issuer signs and verifies tokens. It is safe for concurrent use, and an
// [auth.Verifier].
type Issuer struct {
	options  Options
	ring     *ring
	access   *jwt.Parser
	refresh  *jwt.Parser
	login    *jwt.Parser
	download *jwt.Parser
	verified *recent.Map[[sha256.Size]byte, verified]
}

var _ auth.Verifier = (*Issuer)(nil)

// verified is a token that was found good.
type verified struct {
	principal auth.Principal
	until     time.Time
}

// NewIssuer returns an issuer with the keys of store. All processes that share a
// store should have the same options.
func NewIssuer(store KeyStore, o Options) (*Issuer, error) {
	o.Issuer = cmp.Or(o.Issuer, "berth")
	o.Service = cmp.Or(o.Service, "berth")
	o.Access = cmp.Or(o.Access, 5*time.Minute)
	o.Refresh = cmp.Or(o.Refresh, 90*24*time.Hour)
	o.Rotation = cmp.Or(o.Rotation, 30*24*time.Hour)
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Access < minAccess || o.Refresh < o.Access || o.Rotation < time.Hour {
		return nil, fmt.Errorf("tokens live for %s, refresh tokens for %s and keys for %s; "+
			"tokens need at least %s, refresh tokens as long as tokens, and keys an hour", o.Access, o.Refresh, o.Rotation, minAccess)
	}
	parser := func(audience string) *jwt.Parser {
		return jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}), jwt.WithStrictDecoding(),
			jwt.WithIssuer(o.Issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(o.Clock),
		)
	}
	return &Issuer{
		options:  o,
		ring:     &ring{store: store, rotation: o.Rotation, keep: o.Refresh + leeway, clock: o.Clock, log: o.Log},
		access:   parser(o.Service),
		refresh:  parser(refreshTokens.audience(o.Service)),
		login:    parser(logins.audience(o.Service)),
		download: parser(downloads.audience(o.Service)),
		verified: recent.NewMap[[sha256.Size]byte, verified](maxVerified),
	}, nil
}

// Service is the name of the registry in tokens and challenges.
func (i *Issuer) Service() string { return i.options.Service }

// Token is a token given out.
type Token struct {
	Text     string
	IssuedAt time.Time
	Life     time.Duration
}

// Issue gives p an access token for scopes, which it was found to have a right to.
func (i *Issuer) Issue(ctx context.Context, p auth.Principal, scopes []auth.Scope) (Token, error) {
	if scopes == nil {
		scopes = []auth.Scope{} // "access":[] and not null, for those who read it
	}
	c := claimsOf(p)
	c.Access = scopes
	return i.sign(ctx, i.options.Service, i.options.Access, c)
}

// MayRefresh reports whether p gets refresh tokens: not nobody, and not who has taken
// on a role, whose session would end long before.
func MayRefresh(p auth.Principal) bool { return !p.IsAnonymous() && p.Kind != auth.Role }

// IssueRefresh gives p a token with which it can ask for access tokens without its
// password. It ends with the password.
func (i *Issuer) IssueRefresh(ctx context.Context, p auth.Principal) (Token, error) {
	if !MayRefresh(p) {
		return Token{}, fmt.Errorf("a refresh token for %s", p)
	}
	return i.sign(ctx, i.audience(refreshTokens), i.options.Refresh, claimsOf(p))
}

// sign makes a token of what c says besides when and by whom.
func (i *Issuer) sign(ctx context.Context, audience string, life time.Duration, c claims) (Token, error) {
	now := i.options.Clock().UTC().Truncate(time.Second)
	key, err := i.ring.signer(ctx, now)
	if err != nil {
		return Token{}, err
	}
	c.Issuer, c.Audience, c.ID = i.options.Issuer, jwt.ClaimStrings{audience}, rand.Text()
	c.IssuedAt, c.NotBefore, c.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(life))
	t := jwt.NewWithClaims(jwt.SigningMethodES256, &c)
	t.Header["kid"] = key.id
	text, err := t.SignedString(key.private)
	if err != nil {
		return Token{}, fmt.Errorf("sign a token: %w", err)
	}
	return Token{Text: text, IssuedAt: now, Life: life}, nil
}

// Verify returns the principal an access token was given to. Whether its account is
// still good is for [auth.Access] to say. Errors: *auth.RefusedError.
func (i *Issuer) Verify(ctx context.Context, text string) (auth.Principal, error) {
	if len(text) > maxToken {
		return auth.Nobody, errTooLong
	}
	if len(text) > maxRemembered {
		c, err := i.parse(ctx, i.access, text)
		if err != nil {
			return auth.Nobody, err
		}
		return c.principal(), nil
	}
	sum := sha256.Sum256([]byte(text))
	if v, ok := i.verified.Get(sum); ok && i.options.Clock().Before(v.until) {
		return v.principal, nil
	}
	c, err := i.parse(ctx, i.access, text)
	if err != nil {
		return auth.Nobody, err
	}
	v := verified{c.principal(), c.ExpiresAt.Time}
	i.verified.Put(sum, v)
	return v.principal, nil
}

// VerifyRefresh returns the principal a refresh token was given to, not limited to
// anything. Errors: *auth.RefusedError.
func (i *Issuer) VerifyRefresh(ctx context.Context, text string) (auth.Principal, error) {
	return i.unlimited(ctx, i.refresh, text)
}

// unlimited returns the principal of a token, not limited to any scopes.
func (i *Issuer) unlimited(ctx context.Context, parser *jwt.Parser, text string) (auth.Principal, error) {
	if len(text) > maxToken {
		return auth.Nobody, errTooLong
	}
	c, err := i.parse(ctx, parser, text)
	if err != nil {
		return auth.Nobody, err
	}
	p := c.principal()
	p.Limited, p.Scopes = false, nil
	return p, nil
}
