package token

import (
	"context"
	"errors"

	"github.com/golang-jwt/jwt/v5"

	"berth/auth"
)

func refuse(format string, args ...any) error {
	return auth.Unauthenticated(auth.InvalidToken, format, args...)
}

var (
	errTooLong = refuse("the token has more than %d bytes; no token of this registry has", maxToken)
	errClaims  = refuse("the token says nothing this registry would have put into it; log in again")
)

// refusals says in plain words what the parser objects to. The first that applies is
// told, so what concerns the signature comes before what the token says.
var refusals = []struct {
	err     error
	refusal error
}{
	{jwt.ErrTokenMalformed, refuse("the bearer token is not a JSON Web Token, or only a part of one")},
	{errKeyUnknown, refuse("the token was signed with a key this registry does not know; log in again")},
	{errCritical, refuse("the token asks for an extension that is not supported here")},
	{jwt.ErrTokenSignatureInvalid, refuse("the signature of the token is not valid; it must be ES256 by this registry")},
	{jwt.ErrTokenExpired, refuse("the token has expired; ask for another")},
	{jwt.ErrTokenNotValidYet, refuse("the token is not valid yet; are the clocks set right?")},
	{jwt.ErrTokenUsedBeforeIssued, refuse("the token was issued in the future; are the clocks set right?")},
	{jwt.ErrTokenInvalidAudience, refuse("the token is for another service, or is a refresh token")},
	{jwt.ErrTokenInvalidIssuer, refuse("the token was issued by another registry")},
	{jwt.ErrTokenRequiredClaimMissing, refuse("the token lacks a claim, perhaps its expiry")},
}

var (
	errKeyUnknown = errors.New("unknown key")
	errCritical   = errors.New("critical header")
)

// parse reads and verifies a token. Errors: *auth.RefusedError, or a fault of the
// key store.
func (i *Issuer) parse(ctx context.Context, parser *jwt.Parser, text string) (*claims, error) {
	var c claims
	var fault error
	_, err := parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		// RFC 7515, section 4.1.11: who does not understand crit must refuse it.
		if _, critical := t.Header["crit"]; critical {
			return nil, errCritical
		}
		id, _ := t.Header["kid"].(string)
		key, err := i.ring.verifier(ctx, id)
		if err != nil {
			fault = err
			return nil, err
		}
		if key == nil {
			return nil, errKeyUnknown
		}
		return &key.private.PublicKey, nil
	})
	switch {
	case fault != nil:
		return nil, fault
	case err == nil && c.valid():
		return &c, nil
	case err == nil:
		return nil, errClaims
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return nil, r.refusal
		}
	}
	return nil, errClaims
}
