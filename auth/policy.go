package auth

import (
	"fmt"

	"berth/registry"
)

// MaxPolicySize is the longest identity policy, in characters that are not white
// space: IAM's limit for managed policies. MaxResourcePolicySize is that of policies of
// repositories and of the registry, in all their characters: ECR's limit.
const (
	MaxPolicySize         = 6144
	MaxResourcePolicySize = 10_240
)

// Effect is what a statement does with the requests it speaks of.
type Effect string

// The effects of IAM.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// PolicyKind says to what a policy is attached.
type PolicyKind string

// The kinds of policies.
const (
	IdentityPolicy   PolicyKind = "identity"   // to accounts: what they may do
	RepositoryPolicy PolicyKind = "repository" // to one repository: who may do what with it
	RegistryPolicy   PolicyKind = "registry"   // to the registry: who may do what with its repositories
	TrustPolicy      PolicyKind = "trust"      // to one role: who may take it on; see [Trust]
)

// Policy is a policy, ready for decisions. [ParsePolicy], [ParseRepositoryPolicy] and
// [ParseRegistryPolicy] make it; it does not change afterwards.
type Policy struct {
	Kind     PolicyKind
	Name     string // of an identity policy
	Document string // the JSON it was made of

	statements []statement
	readsTags  bool // of repositories
}

// statement is one rule of a policy.
type statement struct {
	label      string // its Sid, or its position: "#1"
	effect     Effect
	principals principals
	actions    actionSet // those it speaks of; NotAction is resolved
	resources  []resource
	inverted   bool // NotResource: it speaks of all but resources
	conditions []condition
}

// speaksOf reports whether the statement is about the request. One with a variable
// that the request has no value for is about none.
func (s *statement) speaksOf(action int, r *Request) bool {
	return s.actions.has(action) && s.principals.include(s.effect, r) && s.coversResource(r) && s.meetsConditions(r)
}

func (s *statement) coversResource(r *Request) bool {
	for i := range s.resources {
		if !s.resources[i].name.resolvable(r) {
			return false
		}
	}
	for i := range s.resources {
		if s.resources[i].matches(r) {
			return !s.inverted
		}
	}
	return s.inverted
}

// readsTags reports whether tags of the repository make a difference to the statement.
func (s *statement) readsTags() bool {
	untagged := func(p *pattern) bool { return !p.readsTags() }
	for i := range s.resources {
		if s.resources[i].name.readsTags() {
			return true
		}
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.key.kind == resourceTagKey || !c.all(untagged) {
			return true
		}
	}
	return false
}

func (s *statement) meetsConditions(r *Request) bool {
	for i := range s.conditions {
		if !s.conditions[i].meets(r) {
			return false
		}
	}
	return true
}

// judge looks for a statement that denies the request, and reports whether there is
// one. Then that is in d, and otherwise the first one that allows it, if there is one.
func (p *Policy) judge(action int, r *Request, d *Decision) (denied bool) {
	for i := range p.statements {
		s := &p.statements[i]
		if d.Allowed && s.effect == Allow || !s.speaksOf(action, r) {
			continue
		}
		*d = Decision{Allowed: s.effect == Allow, Explicit: true, Kind: p.Kind, Policy: p.Name, Statement: s.label}
		if s.effect == Deny {
			return true
		}
	}
	return false
}

// CheckPrincipals asks exists of each user, robot and role of the registry at l that the
// policy names. Those of other accounts it takes on trust. It answers ErrPolicyInvalid.
func (p *Policy) CheckPrincipals(l Location, exists func(Local) (bool, error)) error {
	for i := range p.statements {
		for _, n := range p.statements[i].principals.named {
			local, ok := n.local(l)
			if !ok {
				continue
			}
			there, err := exists(local)
			if err != nil {
				return err
			}
			if !there {
				return fmt.Errorf("%w: in Statement #%d: there is no %s %s", ErrPolicyInvalid, i+1, local.Kind, registry.Clip(local.Name))
			}
		}
	}
	return nil
}
