package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// ErrRoleRefused is the answer to whoever may not take on a role. The error says why,
// which is for the audit log: who asks should not learn whether there is such a role.
var ErrRoleRefused = errors.New("not authorized to take on the role")

// Roles knows who may take on which role at this moment. It is safe for concurrent use.
type Roles struct {
	access *Access

	mu      sync.Mutex
	trusted *trustedIssuers
	loading sync.Mutex // held while they are read: strangers can ask, as many as they like at once
}

// trustedIssuers are those that roles trust, as of a generation.
type trustedIssuers struct {
	generation int64
	set        map[string]bool
}

// NewRoles returns the roles of access.
func NewRoles(access *Access) *Roles { return &Roles{access: access} }

// Assumption is somebody's wish to take on a role.
type Assumption struct {
	Role    string // its name
	Session string // what the session shall be called, see [IsSessionName]
	Who     WebIdentity
}

// Assume returns the session of a role, without an end, if its trust policy allows that.
// Errors: ErrRoleRefused.
func (r *Roles) Assume(ctx context.Context, a Assumption) (Principal, error) {
	if !IsSessionName(a.Session) {
		return Nobody, fmt.Errorf("%w: the session has no valid name", ErrRoleRefused)
	}
	id, err := r.access.identity(ctx, a.Role)
	switch {
	case errors.Is(err, ErrAccountUnknown), err == nil && id.account.Kind != Role:
		return Nobody, fmt.Errorf("%w: there is no such role", ErrRoleRefused)
	case err != nil:
		return Nobody, err
	}
	about := r.access.circumstances(ctx)
	if why := id.account.unusable(about.Time); why != "" {
		return Nobody, fmt.Errorf("%w: %s", ErrRoleRefused, why)
	}
	if id.trust == nil {
		return Nobody, fmt.Errorf("%w: its trust policy cannot be read", ErrRoleRefused)
	}
	switch d := id.trust.Decide(a.Who, a.Session, about); {
	case d.Allowed:
		return Principal{Name: a.Role, Kind: Role, Credential: id.fingerprint, Session: a.Session}, nil
	case d.Explicit:
		return Nobody, fmt.Errorf("%w: its trust policy denies it (statement %s)", ErrRoleRefused, d.Statement)
	}
	return Nobody, fmt.Errorf("%w: no statement of its trust policy allows it", ErrRoleRefused)
}

// Trusts reports whether there is a role that trusts an identity provider.
func (r *Roles) Trusts(ctx context.Context, issuer string) (bool, error) {
	t, err := current(ctx, r.access.store, func(generation int64) *trustedIssuers {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.trusted == nil || r.trusted.generation != generation {
			return nil
		}
		return r.trusted
	}, func() (*trustedIssuers, error) {
		r.loading.Lock()
		defer r.loading.Unlock()
		return r.load(ctx)
	}, func(generation int64, t *trustedIssuers) {
		t.generation = generation
		r.mu.Lock()
		defer r.mu.Unlock()
		r.trusted = t
	})
	return err == nil && t.set[issuer], err
}

// load reads which identity providers are trusted.
func (r *Roles) load(ctx context.Context) (*trustedIssuers, error) {
	t := &trustedIssuers{set: map[string]bool{}}
	const page = 1000
	for last := ""; ; {
		accounts, err := r.access.store.Accounts(ctx, Role, last, page)
		if err != nil {
			return nil, fmt.Errorf("read the roles: %w", err)
		}
		for _, a := range accounts {
			last = a.Name
			if a.Disabled {
				continue
			}
			trust, err := ParseTrust(a.Trust)
			if err != nil {
				continue // it trusts nobody
			}
			for _, issuer := range trust.Issuers() {
				t.set[issuer] = true
			}
		}
		if len(accounts) < page {
			return t, nil
		}
	}
}

// RoleName returns the role that an ARN names, which has the form
// arn:aws:iam::ACCOUNT:role/NAME, and reports whether it has that form. Roles of other
// accounts have names that no role here has.
func (l Location) RoleName(arn string) (string, bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" || !isAccountID(parts[4]) {
		return "", false
	}
	name, ok := strings.CutPrefix(parts[5], "role/")
	switch {
	case !ok || !isPrincipalName(name):
		return "", false
	case parts[1] != "aws" || parts[4] != l.account():
		return "/" + parts[4] + "/" + name, true
	}
	return name, true
}
