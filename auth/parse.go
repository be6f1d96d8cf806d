package auth

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"berth/registry"
)

// maxSid bounds statement ids, which end up in messages and in the audit log.
const maxSid = 128

// ParsePolicy reads an identity policy in IAM's JSON. It is strict: a member it
// does not know, a name written twice, an action or resource that could never match
// is an error, since whoever wrote it meant something. It answers ErrPolicyInvalid.
func ParsePolicy(name, document string) (*Policy, error) {
	statements, err := parseDocument(document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicyInvalid, err)
	}
	return &Policy{Name: name, Document: document, statements: statements}, nil
}

func parseDocument(document string) ([]statement, error) {
	if !utf8.ValidString(document) {
		return nil, fmt.Errorf("the document is not UTF-8")
	}
	if size := countNonSpace(document); size > MaxPolicySize {
		return nil, fmt.Errorf("the document has %d characters besides white space; at most %d are allowed: "+
			"split it into several policies", size, MaxPolicySize)
	}
	members, err := registry.Members([]byte(document))
	if err != nil {
		return nil, fmt.Errorf("the document %w", err)
	}
	if err := onlyMembers(members, "Version", "Id", "Statement"); err != nil {
		return nil, err
	}
	version, err := decodeString(members, "Version")
	if err != nil {
		return nil, err
	}
	if version != "2012-10-17" && version != "2008-10-17" {
		return nil, fmt.Errorf(`the Version must be "2012-10-17" or "2008-10-17", not %q`, registry.Clip(version))
	}
	return parseStatements(members["Statement"])
}

// parseStatements reads the member Statement: an object, or a list of them.
func parseStatements(b json.RawMessage) ([]statement, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("the Statement is missing")
	}
	list := []json.RawMessage{b}
	if b[0] == '[' {
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, fmt.Errorf("the Statement is not a list: %w", err)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the Statement is an empty list; a policy needs at least one")
	}
	sids := map[string]bool{}
	statements := make([]statement, 0, len(list))
	for i, b := range list {
		label := fmt.Sprintf("#%d", i+1)
		s, sid, err := parseStatement(b, label)
		if err != nil {
			return nil, fmt.Errorf("in Statement %s: %w", label, err)
		}
		if sid != "" && sids[sid] {
			return nil, fmt.Errorf("in Statement %s: the Sid %q is used twice; it must be unique in the policy", label, sid)
		}
		sids[sid] = true
		statements = append(statements, s)
	}
	return statements, nil
}

func parseStatement(b json.RawMessage, label string) (s statement, sid string, err error) {
	members, err := registry.Members(b)
	if err != nil {
		return s, "", err
	}
	switch {
	case members["Principal"] != nil || members["NotPrincipal"] != nil:
		return s, "", fmt.Errorf("an identity policy has no Principal: it speaks of whoever it is attached to")
	case members["Condition"] != nil:
		return s, "", fmt.Errorf("a Condition is not supported yet; without it the statement would apply more widely than it says")
	}
	if err := onlyMembers(members, "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"); err != nil {
		return s, "", err
	}
	s.label = label
	if members["Sid"] != nil {
		if sid, err = decodeString(members, "Sid"); err != nil {
			return s, "", err
		}
		if sid != "" {
			s.label = sid
		}
		if len(sid) > maxSid || strings.ContainsFunc(sid, unicode.IsControl) {
			return s, "", fmt.Errorf("the Sid must have at most %d characters and no control characters", maxSid)
		}
	}
	effect, err := decodeString(members, "Effect")
	if err != nil {
		return s, "", err
	}
	if s.effect = Effect(effect); s.effect != Allow && s.effect != Deny {
		return s, "", fmt.Errorf(`the Effect must be "Allow" or "Deny", not %q`, registry.Clip(effect))
	}
	if s.actions, err = parseActions(members); err != nil {
		return s, "", err
	}
	s.resources, s.inverted, err = parseResources(members)
	return s, sid, err
}

func parseActions(members map[string]json.RawMessage) (actionSet, error) {
	patterns, inverted, err := eitherList(members, "Action", "NotAction")
	if err != nil {
		return actionSet{}, err
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
	if inverted {
		set[0], set[1] = ^set[0], ^set[1]
	}
	return set, nil
}

func parseResources(members map[string]json.RawMessage) ([]resource, bool, error) {
	patterns, inverted, err := eitherList(members, "Resource", "NotResource")
	if err != nil {
		return nil, false, err
	}
	resources := make([]resource, 0, len(patterns))
	for _, p := range patterns {
		r, err := parseResource(p)
		if err != nil {
			return nil, false, err
		}
		resources = append(resources, r)
	}
	return resources, inverted, nil
}

// eitherList reads the one of two members that is there, and says whether it is the
// second.
func eitherList(members map[string]json.RawMessage, name, not string) ([]string, bool, error) {
	if (members[name] != nil) == (members[not] != nil) {
		return nil, false, fmt.Errorf("exactly one of %s and %s is needed", name, not)
	}
	inverted := members[not] != nil
	if inverted {
		name = not
	}
	list, err := decodeStrings(members[name])
	if err != nil {
		return nil, false, fmt.Errorf("the %s %w", name, err)
	}
	return list, inverted, nil
}

// onlyMembers names the first of members, by name, that is not allowed.
func onlyMembers(members map[string]json.RawMessage, allowed ...string) error {
	unknown := ""
	for name := range members {
		if !slices.Contains(allowed, name) && (unknown == "" || name < unknown) {
			unknown = name
		}
	}
	if unknown == "" {
		return nil
	}
	return fmt.Errorf("the member %q is not known here; allowed are %s", registry.Clip(unknown), strings.Join(allowed, ", "))
}

func countNonSpace(s string) int {
	n := 0
	for _, r := range s {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
