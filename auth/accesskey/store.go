package accesskey

import (
	"context"
	"errors"
	"time"
)

// What a [Store] and those who change it through a [Manager] answer.
var (
	ErrUnknown = errors.New("no such access key")
	ErrExists  = errors.New("there is an access key with this ID")
	ErrLimit   = errors.New("the account has as many access keys as it may have; delete one first")
)

// Store keeps access keys, where accounts are kept: who deletes an account deletes its
// keys. It is safe for concurrent use. Every change but UseAccessKey moves the
// generation of accounts ([berth/auth.Store]) up, in its own transaction.
type Store interface {
	// AccessKey returns a key. Errors: ErrUnknown.
	AccessKey(ctx context.Context, id string) (Key, error)

	// AccessKeys lists the keys of an account, by ID. An account that is not there has
	// none.
	AccessKeys(ctx context.Context, account string) ([]Key, error)

	// AllAccessKeys lists the keys of all accounts by ID: at most limit of them, those
	// after the ID after. A page shorter than limit is the last.
	AllAccessKeys(ctx context.Context, after string, limit int) ([]Key, error)

	// CreateAccessKey keeps a key unless its account has limit of them. Of several calls at
	// the same moment no more succeed than that.
	// Errors: auth.ErrAccountUnknown, auth.ErrAccountInvalid for a role, which is taken on
	// for some time and has no key that lasts; ErrExists, ErrLimit.
	CreateAccessKey(ctx context.Context, k Key, limit int) error

	// SetAccessKeyDisabled switches a key off or on again. Errors: ErrUnknown.
	SetAccessKeyDisabled(ctx context.Context, id string, disabled bool) error

	// ResealAccessKey replaces what is sealed of a key. Errors: ErrUnknown.
	ResealAccessKey(ctx context.Context, id string, sealed []byte) error

	// UseAccessKey notes that a key was used at a time, unless that was noted less than
	// apart before. A key that is not there is no error.
	UseAccessKey(ctx context.Context, id string, at time.Time, apart time.Duration) error

	// DeleteAccessKey removes a key. Errors: ErrUnknown.
	DeleteAccessKey(ctx context.Context, id string) error
}
