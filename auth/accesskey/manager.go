package accesskey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// resealPage is how many keys Reseal looks at with one query.
const resealPage = 500

// Manager changes access keys on behalf of an administrator.
type Manager struct {
	Store  Store
	Sealer *Sealer
	Clock  func() time.Time // nil means time.Now

	// Changed is told of every change, for the audit log, once it is kept; may be nil.
	Changed func(context.Context, Change)
}

// Change is something a [Manager] has changed.
type Change struct {
	Action  string // what was done, such as CreateAccessKey
	Account string // of which account
	Key     string // the ID
}

// changed reports a change, unless err says that it did not come about.
func (m *Manager) changed(ctx context.Context, err error, action string, k Key) error {
	if err != nil {
		return fmt.Errorf("access key %s of %s: %w", k.ID, k.Account, err)
	}
	if m.Changed != nil {
		m.Changed(ctx, Change{Action: action, Account: k.Account, Key: k.ID})
	}
	return nil
}

// Create gives an account another key and returns its secret, which cannot be had
// again. Errors: auth.ErrAccountUnknown, auth.ErrAccountInvalid, ErrLimit.
func (m *Manager) Create(ctx context.Context, account string) (k Key, secret string, err error) {
	k = Key{ID: newID(lastingPrefix), Account: account, CreatedAt: m.now().Truncate(time.Second)}
	secret = newSecret()
	k.Sealed = m.Sealer.seal([]byte(secret), k.bound())
	if err := m.Store.CreateAccessKey(ctx, k, MaxPerAccount); err != nil {
		return Key{}, "", fmt.Errorf("%s: %w", account, err)
	}
	return k, secret, m.changed(ctx, nil, "CreateAccessKey", k)
}

// Rotate gives an account that has one key a second, and returns both. The old one goes
// on, until nothing uses it any more and it is deleted.
// Errors: ErrUnknown, ErrLimit.
func (m *Manager) Rotate(ctx context.Context, account string) (k Key, secret string, old Key, err error) {
	keys, err := m.List(ctx, account)
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("%s has none to rotate: %w", account, ErrUnknown)
	}
	if err != nil {
		return Key{}, "", Key{}, err
	}
	k, secret, err = m.Create(ctx, account)
	if err != nil {
		return Key{}, "", Key{}, err
	}
	return k, secret, keys[0], nil
}

// List returns the keys of an account, the oldest first.
func (m *Manager) List(ctx context.Context, account string) ([]Key, error) {
	keys, err := m.Store.AccessKeys(ctx, account)
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return keys, err
}

// SetDisabled switches a key off, at once, or on again. Errors: ErrUnknown.
func (m *Manager) SetDisabled(ctx context.Context, id string, disabled bool) error {
	action := "EnableAccessKey"
	if disabled {
		action = "DisableAccessKey"
	}
	k, err := m.Store.AccessKey(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return m.changed(ctx, m.Store.SetAccessKeyDisabled(ctx, id, disabled), action, k)
}

// Delete removes a key. Errors: ErrUnknown.
func (m *Manager) Delete(ctx context.Context, id string) error {
	k, err := m.Store.AccessKey(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return m.changed(ctx, m.Store.DeleteAccessKey(ctx, id), "DeleteAccessKey", k)
}

// Reseal seals anew, with the first configured secret, what was sealed with another,
// and returns how many keys that were. What cannot be opened stays as it is and is
// told in the error, after all others have been sealed.
func (m *Manager) Reseal(ctx context.Context) (resealed int, err error) {
	var faults []error
	for after := ""; ; {
		page, err := m.Store.AllAccessKeys(ctx, after, resealPage)
		if err != nil {
			return resealed, err
		}
		for _, k := range page {
			after = k.ID
			if m.Sealer.isCurrent(k.Sealed) {
				continue
			}
			switch err := m.reseal(ctx, k); {
			case errors.Is(err, ErrUnknown): // deleted meanwhile
			case err != nil:
				faults = append(faults, err)
			default:
				resealed++
			}
		}
		if len(page) < resealPage {
			return resealed, errors.Join(faults...)
		}
	}
}

func (m *Manager) reseal(ctx context.Context, k Key) error {
	secret, err := m.Sealer.open(k.Sealed, k.bound())
	if err == nil {
		err = m.Store.ResealAccessKey(ctx, k.ID, m.Sealer.seal(secret, k.bound()))
	}
	return m.changed(ctx, err, "ResealAccessKey", k)
}

// bound is what a sealed secret belongs to: put into another row it does not open.
func (k Key) bound() string { return k.ID + "\n" + k.Account }

func (m *Manager) now() time.Time {
	if m.Clock != nil {
		return m.Clock().UTC()
	}
	return time.Now().UTC()
}
