package auth

import (
	"context"
	"errors"

	"berth/registry"
)

// What a [Store] and those who change it through a [Manager] answer.
var (
	ErrAccountNameInvalid = errors.New("the name of the account is not valid")
	ErrPolicyNameInvalid  = errors.New("the name of the policy is not valid")
	ErrPasswordInvalid    = errors.New("the password is not acceptable")
	ErrAccountInvalid     = errors.New("this cannot be done with such an account")
	ErrAccountUnknown     = errors.New("no such account")
	ErrAccountExists      = errors.New("the name is taken by another account")
	ErrPolicyInvalid      = errors.New("the policy is not valid")
	ErrPolicyUnknown      = errors.New("no such policy")
	ErrPolicyAttached     = errors.New("the policy is attached to an account; detach it first")
	ErrPolicyManaged      = errors.New("the name belongs to a managed policy, which cannot be changed")
	ErrNotAttached        = errors.New("the policy is not attached to the account")
)

// StoredPolicy is a custom policy as it is kept: JSON that [ParsePolicy] accepts.
type StoredPolicy struct {
	Name     string
	Document string
}

// ResourceRules are what a repository and the registry say themselves about who may do
// what.
type ResourceRules struct {
	Repository registry.Name
	Policy     string            // of the repository, in JSON; empty if it has none
	Tags       map[string]string // of the repository
	Registry   string            // the policy of the registry, in JSON; empty if it has none
}

// Store keeps accounts, custom policies, and which policy is attached to which
// account, and knows the policies of repositories and of the registry. It is safe for
// concurrent use, and what it answered without an error is durable. Names and
// documents were validated before they get here.
//
// Managed policies are not kept; their names may still be attached.
type Store interface {
	// Generation counts the changes of accounts, policies and attachments, of policies
	// and tags of repositories, and of the policy of the registry. The removal of a
	// repository that had either is one. Each change moves it up in its own transaction,
	// whichever process makes it, and it never goes back. It is read for every decision,
	// so it should be cheap.
	Generation(ctx context.Context) (int64, error)

	// Resource returns what holds for a repository. One that is not there has neither a
	// policy nor tags; the name may be empty for the registry by itself.
	Resource(ctx context.Context, repo registry.Name) (ResourceRules, error)

	// Resources lists the repositories that have a policy, in pages like Accounts; if
	// tagged is set, those that have tags too. It leaves the policy of the registry out.
	Resources(ctx context.Context, after registry.Name, limit int, tagged bool) ([]ResourceRules, error)

	// Account returns an account.
	// Errors: ErrAccountUnknown.
	Account(ctx context.Context, name string) (Account, error)

	// Accounts lists accounts of a kind, or all if it is empty, by the bytes of their names:
	// at most limit of them, those after the name after. A page shorter than limit is the last.
	Accounts(ctx context.Context, kind Kind, after string, limit int) ([]Account, error)

	// CreateAccount adds an account with policies attached to it: all of it or nothing.
	// Errors: ErrAccountExists, ErrPolicyUnknown.
	CreateAccount(ctx context.Context, a Account, policies ...string) error

	// UpdateAccount lets change alter an account, reading and writing it in one
	// transaction. Name, kind and creation time stay as they were. An error of change
	// is returned and nothing is written. change may run more than once and must not
	// use the store.
	// Errors: ErrAccountUnknown.
	UpdateAccount(ctx context.Context, name string, change func(*Account) error) error

	// DeleteAccount removes an account and its attachments.
	// Errors: ErrAccountUnknown.
	DeleteAccount(ctx context.Context, name string) error

	// Policy returns a custom policy.
	// Errors: ErrPolicyUnknown.
	Policy(ctx context.Context, name string) (StoredPolicy, error)

	// Policies lists custom policies, in pages like Accounts.
	Policies(ctx context.Context, after string, limit int) ([]StoredPolicy, error)

	// PutPolicy adds a custom policy or takes the place of the one with its name.
	PutPolicy(ctx context.Context, p StoredPolicy) error

	// DeletePolicy removes a custom policy.
	// Errors: ErrPolicyUnknown, ErrPolicyAttached.
	DeletePolicy(ctx context.Context, name string) error

	// Attachments lists the policies attached to an account, by name. An account
	// that is not there has none.
	Attachments(ctx context.Context, account string) ([]string, error)

	// Attach attaches a policy, custom or managed ([IsManaged]), to an account. What
	// is attached already stays so, without an error.
	// Errors: ErrAccountUnknown, ErrPolicyUnknown.
	Attach(ctx context.Context, account, policy string) error

	// Detach takes a policy from an account.
	// Errors: ErrAccountUnknown, ErrNotAttached.
	Detach(ctx context.Context, account, policy string) error
}
