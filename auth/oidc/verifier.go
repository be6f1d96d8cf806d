package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"berth/auth"
	"berth/registry"
)

const (
	// MaxToken is the longest token that is looked at, as with STS.
	MaxToken = 20_000

	// leeway is how far the clock of an issuer may be from ours.
	leeway = 30 * time.Second
)

// methods are the algorithms that tokens may be signed with: those with a public key.
var methods = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// Options are the settings of a [Verifier]; the zero value works.
type Options struct {
	AllowHTTP bool              // issuers may be asked without TLS, which is for tests; those on this machine always may
	Timeout   time.Duration     // of asking an issuer for its keys; zero means 5 seconds
	Transport http.RoundTripper // nil means that of net/http
	Clock     func() time.Time  // nil means time.Now
}

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	trusts  func(context.Context, string) (bool, error)
	clock   func() time.Time
	fetcher fetcher

	mu      sync.Mutex
	issuers map[string]*issuer
}

// NewVerifier returns a verifier for tokens of the issuers of which trusts reports that
// they are trusted. It is asked before anything else is done for a token.
func NewVerifier(trusts func(ctx context.Context, issuer string) (bool, error), o Options) *Verifier {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Verifier{trusts: trusts, clock: o.Clock, fetcher: newFetcher(o), issuers: map[string]*issuer{}}
}

// Verify returns who bears a token. A line end after it does not count: tokens come in
// files that echo has made. Errors: *Error, or a fault of ours.
func (v *Verifier) Verify(ctx context.Context, text string) (auth.WebIdentity, error) {
	if len(text) > MaxToken {
		return auth.WebIdentity{}, refuse(Invalid, "The token has more than %d characters", MaxToken)
	}
	if text = strings.TrimRight(text, "\r\n"); strings.ContainsAny(text, "\r\n") { // which base64 passes over
		return auth.WebIdentity{}, refuse(Invalid, "The token has a line end, where no JSON Web Token has one")
	}
	issuer, err := v.issuer(ctx, text)
	if err != nil {
		return auth.WebIdentity{}, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods(methods), jwt.WithStrictDecoding(), jwt.WithJSONNumber(),
		jwt.WithIssuer(issuer.url), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(v.clock),
	)
	claims := jwt.MapClaims{}
	var fault error
	_, err = parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		// RFC 7515, section 4.1.11: who does not understand crit must refuse it.
		if _, critical := t.Header["crit"]; critical {
			return nil, errCritical
		}
		id, _ := t.Header["kid"].(string)
		keys, err := issuer.find(ctx, id, t.Method.Alg())
		if err != nil {
			fault = err
			return nil, err
		}
		return jwt.VerificationKeySet{Keys: keys}, nil
	})
	switch {
	case fault != nil:
		return auth.WebIdentity{}, fault
	case err != nil:
		return auth.WebIdentity{}, refusal(err)
	}
	return identity(issuer.url, claims)
}

// issuer returns the issuer that a token names, of which nothing is proved yet.
func (v *Verifier) issuer(ctx context.Context, text string) (*issuer, error) {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(text, claims); err != nil {
		return nil, refusal(err)
	}
	url, _ := claims["iss"].(string)
	if url == "" {
		return nil, refuse(Invalid, "The token names no issuer")
	}
	trusted, err := v.trusts(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("find out whether %s is trusted: %w", url, err)
	}
	if !trusted {
		return nil, refuse(Invalid, "No OpenIDConnect provider found in your account for %s", registry.Clip(url))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	i := v.issuers[url]
	if i == nil {
		i = &issuer{url: url, clock: v.clock, fetcher: v.fetcher}
		v.issuers[url] = i
	}
	return i, nil
}

var errCritical = errors.New("critical header")

// refusals says in plain words what the parser objects to. The first that applies is
// told, so what concerns the signature comes before what the token says.
var refusals = []struct {
	err     error
	refusal *Error
}{
	{errCritical, refuse(Invalid, "The token asks for an extension that is not supported here")},
	{jwt.ErrTokenMalformed, refuse(Invalid, "The token is not a JSON Web Token, or only a part of one")},
	{jwt.ErrTokenSignatureInvalid, refuse(Invalid, "The signature of the token is not valid; it must be by a published key of the issuer, RSA, ECDSA or Ed25519")},
	{jwt.ErrTokenExpired, refuse(Expired, "Token expired: the token must not be used after its exp")},
	{jwt.ErrTokenNotValidYet, refuse(Rejected, "The token is not valid yet, as its nbf says; are the clocks set right?")},
	{jwt.ErrTokenUsedBeforeIssued, refuse(Rejected, "The token was issued in the future, as its iat says; are the clocks set right?")},
	{jwt.ErrTokenInvalidIssuer, refuse(Invalid, "The token names another issuer")},
	{jwt.ErrTokenRequiredClaimMissing, refuse(Invalid, "The token has no exp, until when it is good")},
	{jwt.ErrTokenUnverifiable, refuse(Invalid, "The token is signed in a way that is not known here")},
}

func refusal(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.refusal
		}
	}
	return refuse(Invalid, "The token has claims that are not valid")
}
