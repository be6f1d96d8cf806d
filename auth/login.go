package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"berth/auth/internal/recent"
	"berth/registry"
)

// A credential that was right is remembered for rememberFor, so that Basic on every
// request of a push costs one password hash.
const (
	rememberFor   = 10 * time.Minute
	maxRemembered = 4096
)

// errCredentials is the same whether the account or the password is wrong.
const errCredentials = "the user name or the password is wrong"

// Login checks names and passwords. It is safe for concurrent use.
type Login struct {
	access   *Access
	throttle *throttle
	key      []byte // of the HMAC; lives as long as the process
	verified *recent.Map[[sha256.Size]byte, verified]

	verifying singleflight.Group // guesses
}

// verified is a credential that was right.
type verified struct {
	fingerprint string // of the account's credential at that time
	until       time.Time
}

// NewLogin returns a login for the accounts of access.
func NewLogin(access *Access) *Login {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return &Login{
		access: access, throttle: newThrottle(), key: key,
		verified: recent.NewMap[[sha256.Size]byte, verified](maxRemembered),
	}
}

// Check returns the principal called name if password is its own. address is where
// the request comes from, for counting failures.
// Errors: *RefusedError, *ThrottledError.
func (l *Login) Check(ctx context.Context, name, password, address string) (Principal, error) {
	p, err := l.check(ctx, name, password, address)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		refused.Login = registry.Clip(name)
	}
	return p, l.access.report(ctx, err)
}

func (l *Login) check(ctx context.Context, name, password, address string) (Principal, error) {
	if _, err := ParseAccountName(name); err != nil || password == "" || len(password) > MaxPassword {
		return Nobody, Unauthenticated(NoReason, errCredentials)
	}
	id, err := l.access.identity(ctx, name)
	if errors.Is(err, ErrAccountUnknown) {
		id, err = &identity{}, nil
	}
	if err != nil {
		return Nobody, err
	}
	// A right secret and a remembered credential pass without being counted, so that
	// no attack on the account keeps them out.
	if !checkSecret(id.account.PasswordHash, password) && !l.remembers(id, name, password) {
		if err := l.verify(ctx, id, name, password, address); err != nil {
			return Nobody, err
		}
	}
	if why := id.account.unusable(l.access.options.Clock()); why != "" {
		return Nobody, Unauthenticated(NoReason, "%s; ask an administrator of the registry", why)
	}
	return Principal{Name: name, Kind: id.account.Kind, Credential: id.fingerprint}, nil
}

// verify hashes the password, unless too many before it were wrong. Those who send the
// same one at the same moment, as all clients of a server that has just started, share
// one hash and are counted once: it is one guess.
func (l *Login) verify(ctx context.Context, id *identity, name, password, address string) error {
	p := pair{account: name, address: network(address)}
	sum := l.sum(name, password)
	guess := id.fingerprint + "\x00" + p.address + "\x00" + string(sum[:])
	answer := l.verifying.DoChan(guess, func() (any, error) {
		// One who goes away must not take the others along.
		return l.try(context.WithoutCancel(ctx), id, p, sum, password)
	})
	select {
	case a := <-answer:
		if a.Err != nil {
			return a.Err
		}
		if right, _ := a.Val.(bool); !right {
			return Unauthenticated(NoReason, errCredentials)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try is one guess.
func (l *Login) try(ctx context.Context, id *identity, p pair, sum [sha256.Size]byte, password string) (right bool, err error) {
	now := l.access.options.Clock()
	if err := l.throttle.begin(p, now); err != nil {
		return false, err
	}
	right, err = checkPassword(ctx, id.account.PasswordHash, password)
	if err != nil {
		l.throttle.succeed(p, now, false) // nothing was tried
		return false, err
	}
	if right {
		l.throttle.succeed(p, now, true)
		l.verified.Put(sum, verified{id.fingerprint, now.Add(rememberFor)})
	}
	return right, nil
}

// remembers reports whether the credential was right before and the account still
// has the same one.
func (l *Login) remembers(id *identity, name, password string) bool {
	v, ok := l.verified.Get(l.sum(name, password))
	return ok && v.fingerprint == id.fingerprint && l.access.options.Clock().Before(v.until)
}

// sum is how a credential is remembered: of no use to who reads the memory of the
// cache but not the key.
func (l *Login) sum(name, password string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, l.key)
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(name)))
	mac.Write(size[:])
	mac.Write([]byte(name))
	mac.Write([]byte(password))
	mac.Sum(sum[:0])
	return sum
}
