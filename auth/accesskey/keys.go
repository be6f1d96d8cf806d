package accesskey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"berth/auth"
	"berth/auth/internal/recent"
	"berth/auth/sigv4"
)

// maxRemembered bounds the keys and the accounts that are remembered. Either takes some
// hundred bytes.
const maxRemembered = 4096

// Accounts is what [Keys] asks of accounts; an [auth.Store] is one.
type Accounts interface {
	// Generation moves up with every change of accounts and of access keys.
	Generation(ctx context.Context) (int64, error)

	// Account returns an account. Errors: auth.ErrAccountUnknown.
	Account(ctx context.Context, name string) (auth.Account, error)
}

// Owner is who signs with a key.
type Owner struct {
	Account auth.Account // as it is now
	Session Session      // of temporary credentials; zero for a key that lasts
	Expires time.Time    // likewise
}

// Principal is who makes a request: the account, or who has assumed the role that it is.
func (o Owner) Principal() auth.Principal {
	return auth.Principal{
		Name: o.Account.Name, Kind: o.Account.Kind, Credential: o.Account.Fingerprint(),
		Session: o.Session.Name, Tags: o.Session.Tags, Expires: o.Expires,
	}
}

// Keys finds the secrets of keys that may be used at this moment. It remembers them
// for as long as the generation of accounts stands still, as [auth.Access] does with
// policies, so most requests cost no query. It is safe for concurrent use.
type Keys struct {
	store    Store
	accounts Accounts
	sealer   *Sealer
	clock    func() time.Time

	opened *recent.Map[string, remembered[openedKey]]
	owners *recent.Map[string, remembered[auth.Account]]
}

var _ sigv4.Keys[Owner] = (*Keys)(nil)

// remembered is a value as of a generation.
type remembered[T any] struct {
	generation int64
	value      T
}

// openedKey is a key with its secret.
type openedKey struct {
	key    Key
	secret string
}

// NewKeys returns the keys of store. A nil clock means time.Now.
func NewKeys(store Store, accounts Accounts, sealer *Sealer, clock func() time.Time) *Keys {
	if clock == nil {
		clock = time.Now
	}
	return &Keys{
		store: store, accounts: accounts, sealer: sealer, clock: clock,
		opened: recent.NewMap[string, remembered[openedKey]](maxRemembered),
		owners: recent.NewMap[string, remembered[auth.Account]](maxRemembered),
	}
}

// Key implements [sigv4.Keys]. A key that is disabled, or whose account is or has
// gone, is as unknown as one that never was.
func (k *Keys) Key(ctx context.Context, id, token string) (sigv4.Key[Owner], error) {
	switch {
	case isID(id, lastingPrefix) && token == "":
		return k.lasting(ctx, id)
	case isID(id, temporaryPrefix) && token != "":
		return k.temporary(ctx, id, token)
	}
	return sigv4.Key[Owner]{}, sigv4.ErrKeyUnknown
}

func (k *Keys) lasting(ctx context.Context, id string) (sigv4.Key[Owner], error) {
	generation, err := k.generation(ctx)
	if err != nil {
		return sigv4.Key[Owner]{}, err
	}
	opened, err := remember(k.opened, generation, id, func() (openedKey, error) { return k.open(ctx, id) })
	if errors.Is(err, ErrUnknown) || err == nil && opened.key.Disabled {
		return sigv4.Key[Owner]{}, sigv4.ErrKeyUnknown
	}
	if err != nil {
		return sigv4.Key[Owner]{}, err
	}
	account, err := k.account(ctx, generation, opened.key.Account)
	if err == nil && account.Kind == auth.Role {
		err = sigv4.ErrKeyUnknown // a role is taken on for some time, never for good
	}
	if err != nil {
		return sigv4.Key[Owner]{}, err
	}
	return sigv4.Key[Owner]{Secret: opened.secret, Owner: Owner{Account: account}}, nil
}

func (k *Keys) temporary(ctx context.Context, id, token string) (sigv4.Key[Owner], error) {
	session, ok := k.sealer.openToken(id, token)
	if !ok {
		return sigv4.Key[Owner]{}, sigv4.ErrKeyUnknown
	}
	expires := time.Unix(session.Expires, 0).UTC()
	if !k.clock().Before(expires) {
		return sigv4.Key[Owner]{}, sigv4.ErrTokenExpired
	}
	generation, err := k.generation(ctx)
	if err != nil {
		return sigv4.Key[Owner]{}, err
	}
	account, err := k.account(ctx, generation, session.Account)
	if err == nil && account.Fingerprint() != session.Credential {
		err = sigv4.ErrKeyUnknown
	}
	if err != nil {
		return sigv4.Key[Owner]{}, err
	}
	return sigv4.Key[Owner]{Secret: session.Secret, Owner: Owner{account, session.Session, expires}}, nil
}

// open reads a key from the store. One that does not open is the fault of who has
// configured the registry, and not of who signs with it. Errors: ErrUnknown.
func (k *Keys) open(ctx context.Context, id string) (openedKey, error) {
	key, err := k.store.AccessKey(ctx, id)
	if err != nil {
		return openedKey{}, err
	}
	secret, err := k.sealer.open(key.Sealed, key.bound())
	if err != nil {
		return openedKey{}, fmt.Errorf("the secret of access key %s of %s cannot be opened: %w", id, key.Account, err)
	}
	return openedKey{key, string(secret)}, nil
}

// account returns an account that may be used now. Errors: sigv4.ErrKeyUnknown.
func (k *Keys) account(ctx context.Context, generation int64, name string) (auth.Account, error) {
	account, err := remember(k.owners, generation, name, func() (auth.Account, error) { return k.accounts.Account(ctx, name) })
	if errors.Is(err, auth.ErrAccountUnknown) || err == nil && !account.Usable(k.clock()) {
		return auth.Account{}, sigv4.ErrKeyUnknown
	}
	return account, err
}

func (k *Keys) generation(ctx context.Context) (int64, error) {
	generation, err := k.accounts.Generation(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the generation of accounts: %w", err)
	}
	return generation, nil
}

// remember returns what load has answered in this generation. Because the generation
// was read first, what is remembered is never older than it says. Errors are not
// remembered: strangers can cause as many as they like.
func remember[T any](m *recent.Map[string, remembered[T]], generation int64, name string, load func() (T, error)) (T, error) {
	if r, ok := m.Get(name); ok && r.generation == generation {
		return r.value, nil
	}
	value, err := load()
	if err == nil {
		m.Put(name, remembered[T]{generation, value})
	}
	return value, err
}
