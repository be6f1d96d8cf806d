package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"berth/registry"
)

// maxSid bounds statement ids, which end up in messages and in the audit log.
const maxSid = 128

func (p parser) statement(b json.RawMessage, label string) (s statement, sid string, err error) {
	members, err := registry.Members(b)
	if err != nil {
		return s, "", err
	}
	if err := onlyMembers(members, "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"); err != nil {
		return s, "", err
	}
	if sid, err = parseSid(members); err != nil {
		return s, "", err
	}
	if s.label = label; sid != "" {
		s.label = sid
	}
	if s.effect, err = parseEffect(members); err != nil {
		return s, "", err
	}
	if s.principals, err = p.principals(members); err != nil {
		return s, "", err
	}
	if s.actions, err = parseActions(members); err != nil {
		return s, "", err
	}
	if s.resources, s.inverted, err = p.resources(members); err != nil {
		return s, "", err
	}
	if members["Condition"] != nil {
		s.conditions, err = p.parseConditions(members["Condition"])
	}
	return s, sid, err
}

func parseEffect(members map[string]json.RawMessage) (Effect, error) {
	effect, err := decodeString(members, "Effect")
	if err == nil && Effect(effect) != Allow && Effect(effect) != Deny {
		err = fmt.Errorf(`the Effect must be "Allow" or "Deny", not %q`, registry.Clip(effect))
	}
	return Effect(effect), err
}

func parseSid(members map[string]json.RawMessage) (string, error) {
	if members["Sid"] == nil {
		return "", nil
	}
	sid, err := decodeString(members, "Sid")
	if err == nil && (len(sid) > maxSid || strings.ContainsFunc(sid, unicode.IsControl)) {
		err = fmt.Errorf("the Sid must have at most %d characters and no control characters", maxSid)
	}
	return sid, err
}

// principals reads whom the statement speaks of.
func (p parser) principals(members map[string]json.RawMessage) (principals, error) {
	if p.kind != IdentityPolicy {
		return parsePrincipals(members)
	}
	if members["Principal"] != nil || members["NotPrincipal"] != nil {
		return principals{}, fmt.Errorf("an identity policy has no Principal: it speaks of whoever it is attached to")
	}
	return principals{anyone: true}, nil
}

func parseActions(members map[string]json.RawMessage) (actionSet, error) {
	name, err := either(members, "Action", "NotAction")
	if err != nil {
		return actionSet{}, err
	}
	patterns, err := decodeStrings(members[name])
	if err != nil {
		return actionSet{}, fmt.Errorf("the %s %w", name, err)
	}
	var set actionSet
	for _, p := range patterns {
		service, _, _ := strings.Cut(strings.ToLower(p), ":")
		if p != "*" && service != "ecr" {
			return actionSet{}, fmt.Errorf(`the action %q is not one of this registry: it must be "*" or begin with "ecr:"`, registry.Clip(p))
		}
		if !set.addMatching(p) {
			return actionSet{}, fmt.Errorf("the action %q matches no known action; is it misspelt?", registry.Clip(p))
		}
	}
	if name == "NotAction" {
		set[0], set[1] = ^set[0], ^set[1]
	}
	return set, nil
}

// resources reads what the statement speaks of, and whether it is of all but that.
func (p parser) resources(members map[string]json.RawMessage) (list []resource, inverted bool, err error) {
	if p.kind != IdentityPolicy && members["Resource"] == nil && members["NotResource"] == nil {
		return []resource{{any: true}}, false, nil
	}
	name, err := either(members, "Resource", "NotResource")
	if err != nil {
		return nil, false, err
	}
	patterns, err := decodeStrings(members[name])
	if err != nil {
		return nil, false, fmt.Errorf("the %s %w", name, err)
	}
	list = make([]resource, 0, len(patterns))
	for _, text := range patterns {
		r, err := p.parseResource(text)
		if err != nil {
			return nil, false, err
		}
		list = append(list, r)
	}
	return list, name == "NotResource", nil
}
