package auth

import (
	"context"
	"time"

	"berth/registry"
)

// Kind tells people from programs and from strangers.
type Kind string

// The kinds of principals.
const (
	Anonymous Kind = "anonymous" // nobody has said who asks
	User      Kind = "user"      // a person with a password
	Robot     Kind = "robot"     // a program with a generated secret
	Role      Kind = "role"      // who has assumed a role, for the length of a session
	Scanner   Kind = "scanner"   // what looks into images for the registry; nobody can log in as it
)

// scannerName is the name of a [Scanner]. No account can have it.
const scannerName = "berth:scanner"

// ScannerFor is the principal of a token that the registry gives to a scanner: it may pull
// from the repositories, whatever policies say, and nothing else.
func ScannerFor(repos []registry.Name) Principal {
	p := Principal{Name: scannerName, Kind: Scanner, Limited: true}
	for _, repo := range repos {
		p.Scopes = addScope(p.Scopes, repositoryScope(repo, Pull))
	}
	return p
}

// Principal is the one who asks.
type Principal struct {
	Name string // of the account or role; empty for anonymous
	Kind Kind

	// Limited says that the request came with a token that allows no more than
	// Scopes. A principal that is not limited may do all that its policies allow.
	Limited bool
	Scopes  []Scope

	// Credential is [Account.Fingerprint] of the credential with which the principal
	// proved its name, or empty. When the account has another one by now, what was
	// proved then is worth nothing.
	Credential string

	// Session is what the one who assumed a role calls the session, and Tags are what
	// it was given for it. They count before the role's own.
	Session string
	Tags    map[string]string

	// Expires is when the temporary credentials end with which the principal has signed
	// its request; zero for others. What it is given on them should not outlive them.
	Expires time.Time

	// Account is the AWS account, twelve digits, that the principal belongs to; empty
	// means the registry's own.
	Account string
}

// Nobody is the principal of a request without credentials.
var Nobody = Principal{Kind: Anonymous}

// IsAnonymous reports whether nobody has said who asks.
func (p Principal) IsAnonymous() bool { return p.Name == "" }

// String is how messages call the principal: "user ci", "robot deploy",
// "role build/run-17", "anonymous".
func (p Principal) String() string {
	switch {
	case p.IsAnonymous():
		return string(Anonymous)
	case p.Kind == Scanner:
		return "the scanner"
	case p.Session != "":
		return string(p.Kind) + " " + p.Name + "/" + p.Session
	}
	return string(p.Kind) + " " + p.Name
}

// ARN is the Amazon resource name of the principal in a registry at l: of a session,
// where it has assumed a role. Nobody has none.
func (p Principal) ARN(l Location) string {
	if p.Kind == Role && p.Session != "" {
		return "arn:aws:sts::" + p.account(l) + ":assumed-role/" + p.Name + "/" + p.Session
	}
	return p.identityARN(l)
}

// identityARN is the ARN of what policies are attached to: the account or the role.
func (p Principal) identityARN(l Location) string {
	switch {
	case p.IsAnonymous():
		return ""
	case p.Kind == Role:
		return "arn:aws:iam::" + p.account(l) + ":role/" + p.Name
	}
	return "arn:aws:iam::" + p.account(l) + ":user/" + p.Name
}

// UserID is what policies find under aws:userid. IAM makes up an id for each user;
// here names are unique, and are the ids.
func (p Principal) UserID() string {
	switch {
	case p.IsAnonymous():
		return string(Anonymous)
	case p.Session != "":
		return p.Name + ":" + p.Session
	}
	return p.Name
}

// awsType is what policies find under aws:PrincipalType.
func (p Principal) awsType() string {
	switch {
	case p.IsAnonymous():
		return "Anonymous"
	case p.Kind == Role:
		return "AssumedRole"
	}
	return "User"
}

// account is what policies find under aws:PrincipalAccount.
func (p Principal) account(l Location) string {
	switch {
	case p.IsAnonymous():
		return string(Anonymous)
	case p.Account != "":
		return p.Account
	}
	return l.account()
}

// holds reports whether the token of p, if it came with one, is good for one of
// verbs on the resource.
func (p Principal) holds(typ, name string, verbs ...string) bool {
	if !p.Limited {
		return true
	}
	for _, s := range p.Scopes {
		if s.Type == typ && s.Name == name && s.has(verbs) {
			return true
		}
	}
	return false
}

type principalKey struct{}

// WithPrincipal returns a context of a request that p makes.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns who makes the request of ctx: [Nobody] if nothing says who.
func PrincipalFrom(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(Principal); ok {
		return p
	}
	return Nobody
}
