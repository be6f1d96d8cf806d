package auth

import (
	"maps"
	"slices"
	"strings"
)

// assumeRole is the one action of trust policies here.
const assumeRole = "sts:AssumeRoleWithWebIdentity"

// roleSessionNameKey is what policies find the name of the session under that is asked for.
const roleSessionNameKey = "sts:rolesessionname"

// Trust is the trust policy of a role: who may take it on. [ParseTrust] makes it; it does
// not change afterwards.
type Trust struct {
	Document string // the JSON it was made of

	statements []trustStatement
}

// trustStatement is one rule of a trust policy.
type trustStatement struct {
	label      string // its Sid, or its position: "#1"
	effect     Effect
	anyone     bool     // it speaks of identities from everywhere; only to deny
	issuers    []string // it speaks of identities from these
	conditions []condition
}

// WebIdentity is who somebody is, as the token of an identity provider says that was
// verified.
type WebIdentity struct {
	Issuer   string // URL of the provider
	Subject  string
	Audience []string

	// Claims are all that the token says in text, numbers, truth values and lists of these,
	// by the names that the provider gives them.
	Claims map[string][]string
}

// Issuers are the identity providers that the policy trusts, each once.
func (t *Trust) Issuers() []string {
	var issuers []string
	for _, s := range t.statements {
		if s.effect == Allow {
			issuers = append(issuers, s.issuers...)
		}
	}
	slices.Sort(issuers)
	return slices.Compact(issuers)
}

// Decide says whether who may take on the role, under the name session and in the
// circumstances of about. As with other policies a statement that denies wins, and what
// no statement allows is denied. It looks at nothing but its arguments.
func (t *Trust) Decide(who WebIdentity, session string, about Context) Decision {
	about.Claims = who.keys()
	about.Claims[roleSessionNameKey] = []string{session}
	r := &Request{Principal: Nobody, Context: about}
	var d Decision
	for i := range t.statements {
		s := &t.statements[i]
		if d.Allowed && s.effect == Allow || !s.speaksOf(who.Issuer, r) {
			continue
		}
		d = Decision{Allowed: s.effect == Allow, Explicit: true, Kind: TrustPolicy, Statement: s.label}
		if s.effect == Deny {
			break
		}
	}
	return d
}

func (s *trustStatement) speaksOf(issuer string, r *Request) bool {
	if !s.anyone && !slices.Contains(s.issuers, issuer) {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].meets(r) {
			return false
		}
	}
	return true
}

// keys are the claims by the keys of conditions. Of names that differ in case alone the
// one in lower case counts. A name with a colon has no key: it could pass for a claim of
// a provider on another port of the same host.
func (w WebIdentity) keys() map[string][]string {
	prefix := issuerKey(w.Issuer)
	keys := make(map[string][]string, len(w.Claims)+1)
	for _, name := range slices.Sorted(maps.Keys(w.Claims)) {
		key := prefix + strings.ToLower(name)
		if _, taken := keys[key]; !strings.Contains(name, ":") && (!taken || name == strings.ToLower(name)) {
			keys[key] = w.Claims[name]
		}
	}
	return keys
}

// issuerKey is what the keys of conditions on claims of an issuer begin with, in lower
// case: its URL without the scheme, and a colon.
func issuerKey(issuer string) string {
	_, rest, _ := strings.Cut(issuer, "://")
	return strings.ToLower(rest) + ":"
}

// IsSessionName reports whether a session of a role may have the name.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func IsSessionName(s string) bool {
	return 2 <= len(s) && len(s) <= 64 && !strings.ContainsFunc(s, notInSessionName)
}

// SessionName makes the name of a session of what somebody is called.
func SessionName(s string) string {
	name := strings.Map(func(r rune) rune {
		if notInSessionName(r) {
			return '-'
		}
		return r
	}, s)
	if len(name) < 2 {
		name += "--"
	}
	return name[:min(len(name), 64)]
}

func notInSessionName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_+=,.@-", r)
}
