package auth

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"berth/registry"
)

// Request is what a decision is about.
type Request struct {
	Action    Action
	Repo      registry.Name // empty for actions on the registry itself
	Location  Location
	Principal Principal // who asks
	Context   Context

	arn string // of the principal, if it has been written already
}

// Context is what the conditions of policies may ask about a request besides who asks
// for what. What is not known is left at its zero value, and policies then see that
// the request has no such key.
type Context struct {
	SourceIP      netip.Addr
	Secure        bool // it came over TLS
	Time          time.Time
	PrincipalTags map[string]string // of the account or role; the session's are in [Principal]
	ResourceTags  map[string]string // of the repository

	// Claims are what a web identity says of itself, by condition keys in lower case, such
	// as gitlab.com:sub. One may have several values.
	Claims map[string][]string
	Parameters
}

// foreign reports whether the principal belongs to another account than the registry.
func (r *Request) foreign() bool {
	return r.Principal.Account != "" && r.Principal.Account != r.Location.account()
}

// has reports whether the request has the key.
func (r *Request) has(k contextKey) bool {
	switch k.kind {
	case sourceIPKey:
		return r.Context.SourceIP.IsValid()
	case principalARNKey:
		return !r.Principal.IsAnonymous()
	case principalAccountKey, principalTypeKey, userIDKey, secureTransportKey:
		return true
	case tagKeysKey:
		return len(r.Context.Tags)+len(r.Context.Untagged) > 0
	case currentTimeKey, epochTimeKey:
		return !r.Context.Time.IsZero()
	case otherKey:
		return len(r.Context.Claims[k.tag]) > 0
	}
	_, ok := r.value(k)
	return ok
}

// value is what the request has under a key that has one value.
func (r *Request) value(k contextKey) (string, bool) {
	p, c := &r.Principal, &r.Context
	switch k.kind {
	case sourceIPKey:
		return c.SourceIP.String(), c.SourceIP.IsValid()
	case principalARNKey:
		return r.principalARN(), !p.IsAnonymous()
	case principalAccountKey:
		return p.account(r.Location), true
	case principalTypeKey:
		return p.awsType(), true
	case principalTagKey:
		if v, ok := tagValue(p.Tags, k.tag); ok {
			return v, true
		}
		return tagValue(c.PrincipalTags, k.tag)
	case resourceTagKey:
		return tagValue(c.ResourceTags, k.tag)
	case requestTagKey:
		return tagValue(c.Tags, k.tag)
	case currentTimeKey:
		return c.Time.UTC().Format("2006-01-02T15:04:05Z"), !c.Time.IsZero()
	case epochTimeKey:
		return strconv.FormatInt(c.Time.Unix(), 10), !c.Time.IsZero()
	case secureTransportKey:
		return strconv.FormatBool(c.Secure), true
	case usernameKey:
		return p.Name, !p.IsAnonymous() && p.Kind != Role
	case userIDKey:
		return p.UserID(), true
	case accountSettingKey:
		return c.AccountSetting, c.AccountSetting != ""
	case otherKey:
		if values := c.Claims[k.tag]; len(values) > 0 {
			return values[0], true
		}
	}
	return "", false
}

// principalARN is the ARN that policies compare: of a session it is that of the role.
func (r *Request) principalARN() string {
	if r.arn == "" {
		r.arn = r.Principal.identityARN(r.Location)
	}
	return r.arn
}

// tagValue finds a tag. Policies name tags without regard to case; should two differ in
// nothing else, the one that is written like it counts, or else the first of them.
func tagValue(tags map[string]string, name string) (string, bool) {
	if v, ok := tags[name]; ok {
		return v, true
	}
	first, found := "", false
	for k := range tags {
		if strings.EqualFold(k, name) && (!found || k < first) {
			first, found = k, true
		}
	}
	return tags[first], found
}
