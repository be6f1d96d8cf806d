package auth

import "context"

// Kind tells people from programs and from strangers.
type Kind string

// The kinds of principals.
const (
	Anonymous Kind = "anonymous" // nobody has said who asks
	User      Kind = "user"      // a person with a password
	Robot     Kind = "robot"     // a program with a generated secret
)

// Principal is the one who asks.
type Principal struct {
	Name string // of the account; empty for anonymous
	Kind Kind

	// Limited says that the request came with a token that allows no more than
	// Scopes. A principal that is not limited may do all that its policies allow.
	Limited bool
	Scopes  []Scope

	// Credential is [Account.Fingerprint] of the credential with which the principal
	// proved its name, or empty. When the account has another one by now, what was
	// proved then is worth nothing.
	Credential string
}

// Nobody is the principal of a request without credentials.
var Nobody = Principal{Kind: Anonymous}

// IsAnonymous reports whether nobody has said who asks.
func (p Principal) IsAnonymous() bool { return p.Name == "" }

// String is how messages call the principal: "user ci", "robot deploy", "anonymous".
func (p Principal) String() string {
	if p.IsAnonymous() {
		return string(Anonymous)
	}
	return string(p.Kind) + " " + p.Name
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

// Origin is where a request comes from, as far as it is known.
type Origin struct {
	Address   string
	RequestID string // as the log of requests has it
}

type originKey struct{}

// WithOrigin returns a context of a request that comes from o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom returns where the request of ctx comes from.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}
