package auth

import "berth/registry"

// Request is what a decision is about.
type Request struct {
	Action   Action
	Repo     registry.Name // empty for actions on the registry itself
	Location Location
}

// Decision is the answer of the policies to a request, and which statement gave it.
type Decision struct {
	Allowed   bool
	Explicit  bool   // a statement said so; otherwise nothing allowed it
	Policy    string // the policy that decided
	Statement string // its statement: the Sid, or "#1" for the first
}

// Decide gives the answer of IAM within one account: a statement that denies wins
// over all that allow, and what no statement allows is denied. It looks at nothing
// but its arguments. An action that is not one of [Actions] is denied.
func Decide(policies []*Policy, r Request) Decision {
	action, known := actionIndex[r.Action]
	if !known {
		return Decision{}
	}
	var d Decision
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			if d.Allowed && s.effect == Allow || !s.speaksOf(action, r) {
				continue
			}
			d = Decision{Allowed: s.effect == Allow, Explicit: true, Policy: p.Name, Statement: s.label}
			if s.effect == Deny {
				return d
			}
		}
	}
	return d
}
