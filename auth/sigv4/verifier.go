package sigv4

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Keys finds the secrets of access keys. P is what it knows of who has a key.
type Keys[P any] interface {
	// Key returns the key called id. token is the session token that came with the
	// request, or empty: it must be that of the key, and empty if the key has none.
	// Nothing is proved yet when it is asked.
	// Errors: ErrKeyUnknown, ErrTokenExpired.
	Key(ctx context.Context, id, token string) (Key[P], error)
}

// Key is an access key.
type Key[P any] struct {
	Secret string
	Owner  P
}

// Signed is what a signature has proved.
type Signed[P any] struct {
	KeyID        string
	SessionToken string // empty if the key has none
	Region       string
	Service      string
	Time         time.Time // when it was signed, says the client
	Presigned    bool
	Owner        P // of the key
}

// Verifier verifies signatures. It is safe for concurrent use.
type Verifier[P any] struct {
	Keys     Keys[P]
	Services []string         // what may be signed for, such as "ecr"
	Region   string           // likewise; empty means any
	Clock    func() time.Time // nil means time.Now

	// Host is the host that the client has called, with the port unless it is that of the
	// scheme; nil takes the Host header, which is wrong behind a proxy that changes it.
	Host func(*http.Request) string

	// Secure reports whether the client has spoken TLS, perhaps to a proxy; nil asks the
	// connection.
	Secure func(*http.Request) bool

	// Used, if set, is told of every signature that was right, before the request goes on.
	Used func(context.Context, Signed[P])
}

// Screen refuses a request that nobody can have signed: it claims to be of another time or
// place, or to be signed with a key that there is not. It proves nothing.
// Errors: those of Verify.
func (v *Verifier[P]) Screen(r *http.Request) error {
	c, _, err := v.claim(r)
	if err == nil {
		_, err = v.find(r.Context(), c)
	}
	return err
}

// claim is what r says of its signature.
func (v *Verifier[P]) claim(r *http.Request) (claim, query, error) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return claim{}, q, err
	}
	c, err := parseClaim(r, q)
	if err == nil {
		err = c.check(v.now(), v.Services, v.Region)
	}
	return c, q, err
}

// Verify returns who has signed r. body is all of the request's.
// Errors: *Error, or a fault of the source of keys.
func (v *Verifier[P]) Verify(r *http.Request, body []byte) (Signed[P], error) {
	c, q, err := v.claim(r)
	if err != nil {
		return Signed[P]{}, err
	}
	request, err := v.canonical(r, q, c, body)
	if err != nil {
		return Signed[P]{}, err
	}
	key, err := v.key(r.Context(), c, request)
	if err != nil {
		return Signed[P]{}, err
	}
	s := Signed[P]{
		KeyID: c.keyID, SessionToken: c.token, Region: c.scope.region, Service: c.scope.service,
		Time: c.time, Presigned: c.presigned, Owner: key.Owner,
	}
	if v.Used != nil {
		v.Used(r.Context(), s)
	}
	return s, nil
}

// key returns the key that request was signed with. One that is refused costs as much
// time as a signature that is wrong.
func (v *Verifier[P]) key(ctx context.Context, c claim, request []byte) (Key[P], error) {
	key, err := v.find(ctx, c)
	refused, _ := errors.AsType[*Error](err)
	switch {
	case refused != nil:
		key.Secret = "of nobody"
	case err != nil:
		return Key[P]{}, err
	}
	right := subtle.ConstantTimeCompare([]byte(c.sign(key.Secret, request)), []byte(c.signature)) == 1
	switch {
	case refused != nil:
		return Key[P]{}, refused
	case !right:
		return Key[P]{}, errMismatch
	}
	return key, nil
}

// find looks for the key of a claim.
func (v *Verifier[P]) find(ctx context.Context, c claim) (Key[P], error) {
	key, err := v.Keys.Key(ctx, c.keyID, c.token)
	switch _, refused := errors.AsType[*Error](err); {
	case refused:
		return Key[P]{}, err
	case err != nil:
		return Key[P]{}, fmt.Errorf("find access key %s: %w", c.keyID, err)
	case key.Secret == "":
		return Key[P]{}, fmt.Errorf("access key %s has no secret", c.keyID)
	}
	return key, nil
}

func (v *Verifier[P]) now() time.Time {
	if v.Clock != nil {
		return v.Clock().UTC()
	}
	return time.Now().UTC()
}

func (v *Verifier[P]) host(r *http.Request) string {
	if v.Host != nil {
		return v.Host(r)
	}
	return r.Host
}

func (v *Verifier[P]) secure(r *http.Request) bool {
	if v.Secure != nil {
		return v.Secure(r)
	}
	return r.TLS != nil
}
