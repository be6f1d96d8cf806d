package auth

import (
	"encoding/json"
	"fmt"
	"strings"

	"berth/registry"
)

// principals are those of whom a statement speaks. Statements of identity policies
// speak of whoever they are attached to.
type principals struct {
	anyone   bool // of everybody
	named    []namedPrincipal
	inverted bool // NotPrincipal: of all but those
}

// namedPrincipal is one that a policy names: an account as a whole, or a user, a role
// or the session of a role in it.
type namedPrincipal struct {
	partition, account  string
	kind, name, session string // kind is empty for an account, or that of the ARN
}

// include reports whether the statement, whose effect is given, speaks of who makes
// the request.
func (p *principals) include(effect Effect, r *Request) bool {
	if p.anyone {
		return !p.inverted
	}
	byAccount, byName := false, false
	for i := range p.named {
		n := &p.named[i]
		switch {
		case !n.isAccountOf(r):
		case n.kind == "":
			byAccount = true
		case n.names(r):
			byName = true
		}
	}
	switch {
	case p.inverted && effect == Deny:
		// Naming an account does not name its users, as IAM has it: who is to be spared
		// is named.
		return !byName
	case p.inverted:
		return !byName && !byAccount && !r.Principal.IsAnonymous()
	case effect == Allow && !r.foreign():
		// Allowing an account leaves it to its identity policies whom they allow. For
		// the registry's own account they need no permission to do so.
		return byName
	}
	return byName || byAccount
}

// isAccountOf reports whether the one who makes the request belongs to the account.
func (n *namedPrincipal) isAccountOf(r *Request) bool {
	return !r.Principal.IsAnonymous() && n.partition == "aws" && n.account == r.Principal.account(r.Location)
}

// names reports whether the user, role or session, of the right account, is the one
// who makes the request. A role is also each of its sessions.
func (n *namedPrincipal) names(r *Request) bool {
	p := &r.Principal
	if n.name != p.Name {
		return false
	}
	switch n.kind {
	case "user":
		return p.Kind != Role
	case "role":
		return p.Kind == Role
	case "assumed-role":
		return p.Kind == Role && n.session == p.Session
	}
	return false
}

// Local is a user, robot or role of this registry that a policy names.
type Local struct {
	Kind Kind // [User], which may be a robot, or [Role]
	Name string
}

// local is what n stands for in the registry at l, if it is of its account. Of what
// cannot be there, such as a user in a path, it says that it is a user of that name.
func (n *namedPrincipal) local(l Location) (Local, bool) {
	switch {
	case n.kind == "" || n.account != l.account():
		return Local{}, false
	case n.partition == "aws" && (n.kind == "role" || n.kind == "assumed-role"):
		return Local{Role, n.name}, true
	case n.partition == "aws" && n.kind == "user":
		return Local{User, n.name}, true
	}
	return Local{User, n.kind + "/" + n.name}, true
}

// parsePrincipals reads the member Principal or NotPrincipal.
func parsePrincipals(members map[string]json.RawMessage) (principals, error) {
	var p principals
	name, err := either(members, "Principal", "NotPrincipal")
	if err != nil {
		return p, err
	}
	p.inverted = name == "NotPrincipal"
	b := members[name]
	if b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil || s != "*" {
			return p, fmt.Errorf(`the %s must be "*" or look like {"AWS": …}`, name)
		}
		p.anyone = true
		return p, nil
	}
	kinds, err := registry.Members(b, "AWS", "Service")
	if err != nil {
		return p, fmt.Errorf("the %s %w", name, err)
	}
	if len(kinds) == 0 {
		return p, fmt.Errorf("the %s is empty", name)
	}
	if err := onlyMembers(kinds, "AWS", "Service"); err != nil {
		return p, fmt.Errorf("in the %s %w", name, err)
	}
	for kind, b := range kinds {
		list, err := decodeStrings(b)
		if err != nil {
			return p, fmt.Errorf("the %s in the %s %w", kind, name, err)
		}
		for _, s := range list {
			if err := p.add(kind, s); err != nil {
				return p, fmt.Errorf("in the %s: %w", name, err)
			}
		}
	}
	return p, nil
}

// add adds a principal. No service of Amazon's asks anything here, so those are only
// looked at.
func (p *principals) add(kind, s string) error {
	switch {
	case kind == "Service":
		if !isService(s) {
			return fmt.Errorf("%q is no service; one looks like codebuild.amazonaws.com", registry.Clip(s))
		}
		return nil
	case s == "*":
		p.anyone = true
		return nil
	}
	n, err := parseNamedPrincipal(s)
	if err == nil {
		p.named = append(p.named, n)
	}
	return err
}

func isService(s string) bool {
	return len(s) <= 255 && strings.Contains(s, ".") && consistsOf(s, "abcdefghijklmnopqrstuvwxyz0123456789.-")
}

// parseNamedPrincipal reads the number of an account or the ARN of one, of a user, a
// role or the session of a role.
func parseNamedPrincipal(s string) (namedPrincipal, error) {
	bad := func(why string) (namedPrincipal, error) {
		return namedPrincipal{}, fmt.Errorf("the principal %q %s", registry.Clip(s), why)
	}
	if isAccountID(s) {
		return namedPrincipal{partition: "aws", account: s}, nil
	}
	if strings.ContainsAny(s, "*?") {
		return bad(`has a wildcard: only "*" by itself may stand for others; use a Condition with aws:PrincipalArn`)
	}
	parts := strings.Split(s, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[3] != "" {
		return bad("is neither the number of an account nor an ARN such as arn:aws:iam::ACCOUNT:user/NAME")
	}
	n := namedPrincipal{partition: parts[1], account: parts[4]}
	if n.partition != "aws" && !strings.HasPrefix(n.partition, "aws-") || !consistsOf(n.partition, "abcdefghijklmnopqrstuvwxyz-") || !isAccountID(n.account) {
		return bad("has no account of twelve digits")
	}
	kind, name, _ := strings.Cut(parts[5], "/")
	switch parts[2] + " " + kind {
	case "iam root":
		if parts[5] != "root" {
			return bad("is no root")
		}
		return n, nil
	case "iam user", "iam role", "sts federated-user":
		n.kind, n.name = kind, name
	case "sts assumed-role":
		n.kind = kind
		n.name, n.session, _ = strings.Cut(name, "/")
		if !isPrincipalName(n.session) {
			return bad("names no session: arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION")
		}
	default:
		return bad("is neither an account, a user, a role nor the session of a role")
	}
	if !isPrincipalName(n.name) {
		return bad("has no valid name")
	}
	return n, nil
}

func isAccountID(s string) bool { return len(s) == 12 && consistsOf(s, "0123456789") }

// isPrincipalName reports whether s may be the name of a user or role, with a path.
func isPrincipalName(s string) bool {
	const marks = "+=,.@_/-"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(marks, c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= 600
}
