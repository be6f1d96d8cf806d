package auth

import (
	"slices"
	"strings"

	"berth/registry"
)

// Types of resources in scopes.
const (
	repositoryType = "repository"
	registryType   = "registry"
)

// maxScopes bounds the text of the scopes in one request. It keeps the token that
// is made of them within what proxies let through as a header.
const maxScopes = 8 << 10

// Scope is what a token allows on one resource, as docker's token protocol writes
// it: "repository:team/app:pull,push". In JSON it is an entry of the claim "access".
// https://distribution.github.io/distribution/spec/auth/scope/
type Scope struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// catalogScope is what listing all repositories takes.
var catalogScope = Scope{Type: registryType, Name: "catalog", Actions: []string{"*"}}

// repositoryScope is the scope of verbs on a repository.
func repositoryScope(repo registry.Name, verbs ...string) Scope {
	return Scope{Type: repositoryType, Name: string(repo), Actions: verbs}
}

// String is the scope as [ParseScopes] reads it.
func (s Scope) String() string { return s.Type + ":" + s.Name + ":" + strings.Join(s.Actions, ",") }

func (s Scope) has(verbs []string) bool {
	for _, a := range s.Actions {
		if a == "*" || slices.Contains(verbs, a) {
			return true
		}
	}
	return false
}

// FormatScopes writes scopes as one list, separated by spaces.
func FormatScopes(scopes []Scope) string {
	list := make([]string, 0, len(scopes))
	for _, s := range scopes {
		list = append(list, s.String())
	}
	return strings.Join(list, " ")
}

// ParseScopes reads lists of scopes, each list separated by spaces. Scopes of the
// same resource become one, and each action stands in it once. A class, as in
// "repository(plugin)", is deprecated by the specification and dropped.
//
// Errors: registry.ErrUnsupported for what is no scope, registry.ErrNameInvalid for a
// repository that no registry could have.
func ParseScopes(lists ...string) ([]Scope, error) {
	size := 0
	var scopes []Scope
	for _, list := range lists {
		if size += len(list); size > maxScopes {
			return nil, registry.ErrUnsupported.With("the scopes have more than %d characters; ask for fewer at a time", maxScopes)
		}
		for text := range strings.FieldsSeq(list) {
			s, err := parseScope(text)
			if err != nil {
				return nil, err
			}
			scopes = addScope(scopes, s)
		}
	}
	return scopes, nil
}

// parseScope reads one scope. Names may hold a colon, in the port of a host, so the
// type ends at the first colon and the actions begin after the last.
func parseScope(text string) (Scope, error) {
	first, last := strings.IndexByte(text, ':'), strings.LastIndexByte(text, ':')
	if first < 0 || first == last {
		return Scope{}, registry.ErrUnsupported.With("scope %q should look like repository:NAME:pull,push", registry.Clip(text))
	}
	s := Scope{Type: text[:first], Name: text[first+1 : last]}
	if base, class, ok := strings.Cut(s.Type, "("); ok {
		class, closed := strings.CutSuffix(class, ")")
		if !closed || !consistsOf(class, registry.LowerAlphanumeric) {
			return Scope{}, registry.ErrUnsupported.With("scope %q: the class of its type is not valid", registry.Clip(text))
		}
		s.Type = base
	}
	if !consistsOf(s.Type, registry.LowerAlphanumeric) || s.Name == "" {
		return Scope{}, registry.ErrUnsupported.With("scope %q should look like repository:NAME:pull,push", registry.Clip(text))
	}
	if s.Type == repositoryType {
		if _, err := registry.ParseName(s.Name); err != nil {
			return Scope{}, err
		}
	}
	for action := range strings.SplitSeq(text[last+1:], ",") {
		if action == "" {
			continue // the grammar allows an action of no letters, which grants nothing
		}
		if !consistsOf(action, "abcdefghijklmnopqrstuvwxyz*") {
			return Scope{}, registry.ErrUnsupported.With("scope %q: the action %q is not valid", registry.Clip(text), registry.Clip(action))
		}
		s.addAction(action)
	}
	return s, nil
}

func (s *Scope) addAction(action string) {
	if !slices.Contains(s.Actions, action) {
		s.Actions = append(s.Actions, action)
	}
}

// addScope adds s to scopes, to the entry of the same resource if there is one.
func addScope(scopes []Scope, s Scope) []Scope {
	for i := range scopes {
		if scopes[i].Type == s.Type && scopes[i].Name == s.Name {
			for _, a := range s.Actions {
				scopes[i].addAction(a)
			}
			return scopes
		}
	}
	return append(scopes, s)
}
