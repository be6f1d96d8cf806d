package auth

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"berth/registry"
)

// keyKind is what a condition key asks about.
type keyKind uint8

const (
	otherKey keyKind = iota // of a web identity, as HOST:sub; or one that nothing has here, such as aws:PrincipalOrgID
	sourceIPKey
	principalARNKey
	principalAccountKey
	principalTypeKey
	principalTagKey
	resourceTagKey
	requestTagKey
	tagKeysKey
	currentTimeKey
	epochTimeKey
	secureTransportKey
	usernameKey
	userIDKey
	accountSettingKey
)

// contextKeys are the keys that requests have here, in lower case, since IAM compares
// their names without regard to case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
var contextKeys = map[string]keyKind{
	"aws:sourceip":         sourceIPKey,
	"aws:principalarn":     principalARNKey,
	"aws:principalaccount": principalAccountKey,
	"aws:principaltype":    principalTypeKey,
	"aws:tagkeys":          tagKeysKey,
	"aws:currenttime":      currentTimeKey,
	"aws:epochtime":        epochTimeKey,
	"aws:securetransport":  secureTransportKey,
	"aws:username":         usernameKey,
	"aws:userid":           userIDKey,
	"ecr:accountsetting":   accountSettingKey,
}

// tagContextKeys are keys of which there is one for each tag, as in aws:PrincipalTag/team.
var tagContextKeys = map[string]keyKind{
	"aws:principaltag": principalTagKey,
	"aws:resourcetag":  resourceTagKey,
	"ecr:resourcetag":  resourceTagKey,
	"aws:requesttag":   requestTagKey,
}

// contextKey is the name of something that policies may ask about a request.
type contextKey struct {
	kind keyKind
	tag  string // which, if it is about a tag; of other keys the name, in lower case
}

// many reports whether a request may have many values under the key.
func (k contextKey) many() bool { return k.kind == tagKeysKey }

// maxContextKey is the longest name of a key: that of a tag with its prefix.
const maxContextKey = 256

// parseContextKey reads the name of a key. One that is well formed and not known here
// is accepted, since policies come from where it is known.
func parseContextKey(s string) (contextKey, error) {
	service, name, found := strings.Cut(s, ":")
	switch {
	case !found || name == "" || !isKeyService(service):
		return contextKey{}, fmt.Errorf("%q is no condition key: one looks like aws:SourceIp or ecr:ResourceTag/team", registry.Clip(s))
	case len(s) > maxContextKey:
		return contextKey{}, fmt.Errorf("the condition key %q has more than %d characters", registry.Clip(s), maxContextKey)
	case strings.ContainsFunc(s, unicode.IsControl):
		return contextKey{}, errors.New("a condition key has no control characters")
	}
	if kind, ok := contextKeys[strings.ToLower(s)]; ok {
		return contextKey{kind: kind}, nil
	}
	family, tag, _ := strings.Cut(s, "/")
	kind, ok := tagContextKeys[strings.ToLower(family)]
	if ok && tag == "" {
		return contextKey{}, fmt.Errorf("the condition key %s needs the name of a tag: %s/NAME", s, family)
	}
	if !ok {
		return contextKey{kind: otherKey, tag: strings.ToLower(s)}, nil
	}
	return contextKey{kind: kind, tag: tag}, nil
}

// isKeyService reports whether s may stand before the colon of a key: "aws", a
// service, or the host of an identity provider.
func isKeyService(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._/", c) < 0 {
			return false
		}
	}
	return s != ""
}
