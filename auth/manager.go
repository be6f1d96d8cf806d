package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Manager changes accounts and policies on behalf of an administrator. It checks
// what it is given; the store then keeps it.
type Manager struct {
	Store Store
	Clock func() time.Time // nil means time.Now

	// Changed is told of every change, for the audit log, once it is kept; may be nil.
	Changed func(context.Context, Change)
}

// Change is something a [Manager] has changed.
type Change struct {
	Action  string // what was done: the name of the Manager's method, but Enable or Disable
	Account string // to which account, if to one
	Policy  string // and with which policy, if with one
}

// changed reports a change, unless err says that it did not come about.
func (m *Manager) changed(ctx context.Context, err error, c Change) error {
	if err == nil && m.Changed != nil {
		m.Changed(ctx, c)
	}
	return err
}

func (m *Manager) now() time.Time {
	if m.Clock != nil {
		return m.Clock().UTC()
	}
	return time.Now().UTC()
}

// CreateUser adds a person, with policies attached.
// Errors: ErrAccountNameInvalid, ErrPasswordInvalid, ErrAccountExists, ErrPolicyUnknown.
func (m *Manager) CreateUser(ctx context.Context, name, password string, policies ...string) (Account, error) {
	if _, err := ParseAccountName(name); err != nil {
		return Account{}, err
	}
	hash, err := hashFor(ctx, name, password)
	if err != nil {
		return Account{}, err
	}
	a := Account{Name: name, Kind: User, PasswordHash: hash, CreatedAt: m.now().Truncate(time.Second)}
	return a, m.create(ctx, "CreateUser", a, policies)
}

// CreateRobot adds a program, with policies attached, and returns its secret, which is
// kept nowhere. A zero expiry means never.
// Errors: ErrAccountNameInvalid, ErrAccountInvalid, ErrAccountExists, ErrPolicyUnknown.
func (m *Manager) CreateRobot(ctx context.Context, name string, expires time.Time, policies ...string) (a Account, secret string, err error) {
	if _, err := ParseAccountName(name); err != nil {
		return Account{}, "", err
	}
	if err := m.checkExpiry(expires); err != nil {
		return Account{}, "", err
	}
	secret, hash := NewSecret()
	a = Account{Name: name, Kind: Robot, PasswordHash: hash, ExpiresAt: expires, CreatedAt: m.now().Truncate(time.Second)}
	if err := m.create(ctx, "CreateRobot", a, policies); err != nil {
		return Account{}, "", err
	}
	return a, secret, nil
}

func (m *Manager) create(ctx context.Context, action string, a Account, policies []string) error {
	err := m.Store.CreateAccount(ctx, a, policies...)
	_ = m.changed(ctx, err, Change{Action: action, Account: a.Name})
	for _, p := range policies {
		_ = m.changed(ctx, err, Change{Action: "Attach", Account: a.Name, Policy: p})
	}
	return named(a.Name, err)
}

// CreateRole adds a role, with policies attached, that those may take on whom the trust
// policy allows. It has a credential that nobody knows: sessions end when the role is
// deleted, even if one of the same name is made again.
// Errors: ErrAccountNameInvalid, ErrPolicyInvalid, ErrAccountExists, ErrPolicyUnknown.
func (m *Manager) CreateRole(ctx context.Context, name, trust string, policies ...string) (Account, error) {
	if _, err := ParseAccountName(name); err != nil {
		return Account{}, err
	}
	if _, err := ParseTrust(trust); err != nil {
		return Account{}, named(name, err)
	}
	a := Account{Name: name, Kind: Role, PasswordHash: "$none$" + rand.Text(), Trust: trust, CreatedAt: m.now().Truncate(time.Second)}
	return a, m.create(ctx, "CreateRole", a, policies)
}

// SetTrust says anew who may take on a role. Sessions that there are go on.
// Errors: ErrPolicyInvalid, ErrAccountUnknown, ErrAccountInvalid for what is no role.
func (m *Manager) SetTrust(ctx context.Context, name, trust string) error {
	if _, err := ParseTrust(trust); err != nil {
		return named(name, err)
	}
	return m.update(ctx, "SetTrust", name, func(a *Account) error {
		if a.Kind != Role {
			return fmt.Errorf("%w: only roles are taken on, and %s is a %s", ErrAccountInvalid, name, a.Kind)
		}
		a.Trust = trust
		return nil
	})
}

// SetPassword gives a user another password; tokens given out for the old one end.
// Errors: ErrPasswordInvalid, ErrAccountUnknown, ErrAccountInvalid for what is no user.
func (m *Manager) SetPassword(ctx context.Context, name, password string) error {
	hash, err := hashFor(ctx, name, password)
	if err != nil {
		return err
	}
	return m.update(ctx, "SetPassword", name, func(a *Account) error {
		if a.Kind != User {
			return fmt.Errorf("%w: %s is a %s, and only users have passwords; give a robot a new generated secret instead", ErrAccountInvalid, name, a.Kind)
		}
		a.PasswordHash = hash
		return nil
	})
}

// ResetSecret gives a robot another secret and returns it; tokens given out for the
// old one end. Errors: ErrAccountUnknown, ErrAccountInvalid for what is no robot.
func (m *Manager) ResetSecret(ctx context.Context, name string) (secret string, err error) {
	secret, hash := NewSecret()
	err = m.update(ctx, "ResetSecret", name, func(a *Account) error {
		if a.Kind != Robot {
			return fmt.Errorf("%w: %s is a %s, and only robots have generated secrets; give a user another password instead", ErrAccountInvalid, name, a.Kind)
		}
		a.PasswordHash = hash
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// SetExpiry says when a robot stops working; zero means never.
// Errors: ErrAccountUnknown, ErrAccountInvalid.
func (m *Manager) SetExpiry(ctx context.Context, name string, expires time.Time) error {
	if err := m.checkExpiry(expires); err != nil {
		return err
	}
	return m.update(ctx, "SetExpiry", name, func(a *Account) error {
		if a.Kind != Robot {
			return fmt.Errorf("%w: only robots expire, and %s is a %s; disable or delete it instead", ErrAccountInvalid, name, a.Kind)
		}
		a.ExpiresAt = expires
		return nil
	})
}

// SetDisabled switches an account off, at once and with its tokens, or on again.
// Errors: ErrAccountUnknown.
func (m *Manager) SetDisabled(ctx context.Context, name string, disabled bool) error {
	action := "Enable"
	if disabled {
		action = "Disable"
	}
	return m.update(ctx, action, name, func(a *Account) error {
		a.Disabled = disabled
		return nil
	})
}

// SetTags gives an account other tags, which policies may ask about.
// Errors: ErrAccountUnknown, ErrAccountInvalid.
func (m *Manager) SetTags(ctx context.Context, name string, tags map[string]string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	return m.update(ctx, "SetTags", name, func(a *Account) error {
		a.Tags = tags
		return nil
	})
}

// Exists reports whether there is a user, robot or role as a policy names it.
func (m *Manager) Exists(ctx context.Context, l Local) (bool, error) {
	a, err := m.Store.Account(ctx, l.Name)
	if errors.Is(err, ErrAccountUnknown) {
		return false, nil
	}
	return err == nil && (a.Kind == Role) == (l.Kind == Role), err
}

// DeleteAccount removes an account and its attachments. Errors: ErrAccountUnknown.
func (m *Manager) DeleteAccount(ctx context.Context, name string) error {
	err := m.Store.DeleteAccount(ctx, name)
	return named(name, m.changed(ctx, err, Change{Action: "DeleteAccount", Account: name}))
}

// PutPolicy checks and keeps a custom policy. What it was before is replaced for
// all accounts it is attached to.
// Errors: ErrPolicyNameInvalid, ErrPolicyManaged, ErrPolicyInvalid.
func (m *Manager) PutPolicy(ctx context.Context, name, document string) error {
	if _, err := ParsePolicyName(name); err != nil {
		return err
	}
	if IsManaged(name) {
		return named(name, ErrPolicyManaged)
	}
	if _, err := ParsePolicy(name, document); err != nil {
		return named(name, err)
	}
	err := m.Store.PutPolicy(ctx, StoredPolicy{Name: name, Document: document})
	return named(name, m.changed(ctx, err, Change{Action: "PutPolicy", Policy: name}))
}

// DeletePolicy removes a custom policy.
// Errors: ErrPolicyManaged, ErrPolicyUnknown, ErrPolicyAttached.
func (m *Manager) DeletePolicy(ctx context.Context, name string) error {
	if IsManaged(name) {
		return named(name, ErrPolicyManaged)
	}
	err := m.Store.DeletePolicy(ctx, name)
	return named(name, m.changed(ctx, err, Change{Action: "DeletePolicy", Policy: name}))
}

// PolicyDocument returns the JSON of a policy, custom or managed.
// Errors: ErrPolicyUnknown.
func (m *Manager) PolicyDocument(ctx context.Context, name string) (string, error) {
	if p, ok := Managed(name); ok {
		return p.Document, nil
	}
	p, err := m.Store.Policy(ctx, name)
	return p.Document, named(name, err)
}

// Attach attaches a policy, custom or managed, to an account.
// Errors: ErrAccountUnknown, ErrPolicyUnknown.
func (m *Manager) Attach(ctx context.Context, account, policy string) error {
	err := m.Store.Attach(ctx, account, policy)
	return named(policy+" to "+account, m.changed(ctx, err, Change{Action: "Attach", Account: account, Policy: policy}))
}

// Detach takes a policy from an account. Errors: ErrAccountUnknown, ErrNotAttached.
func (m *Manager) Detach(ctx context.Context, account, policy string) error {
	err := m.Store.Detach(ctx, account, policy)
	return named(policy+" from "+account, m.changed(ctx, err, Change{Action: "Detach", Account: account, Policy: policy}))
}

func (m *Manager) update(ctx context.Context, action, name string, change func(*Account) error) error {
	err := m.Store.UpdateAccount(ctx, name, change)
	return named(name, m.changed(ctx, err, Change{Action: action, Account: name}))
}

func (m *Manager) checkExpiry(expires time.Time) error {
	if !expires.IsZero() && !expires.After(m.now()) {
		return fmt.Errorf("%w: it would have expired at %s, which is past", ErrAccountInvalid, expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// easyPasswords are those whoever guesses tries first and that are long enough.
var easyPasswords = []string{"password", "passw0rd", "password1", "12345678", "123456789", "1234567890", "qwertyuiop", "administrator", "changeme"}

func hashFor(ctx context.Context, name, password string) (string, error) {
	if password == name || slices.Contains(easyPasswords, password) {
		return "", fmt.Errorf("%w: it is too easy to guess", ErrPasswordInvalid)
	}
	return HashPassword(ctx, password)
}

// named says which account or policy an error is about.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
