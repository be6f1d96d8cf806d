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

// maxDocument bounds the bytes of a policy, white space and all.
const maxDocument = 64 << 10

// The versions of IAM's language.
const (
	version2012 = "2012-10-17"
	version2008 = "2008-10-17"
)

// ParsePolicy reads an identity policy in IAM's JSON. It is strict: a member it
// does not know, a name written twice, an action or resource that could never match
// is an error, since whoever wrote it meant something. It answers ErrPolicyInvalid.
func ParsePolicy(name, document string) (*Policy, error) {
	return parse(&Policy{Kind: IdentityPolicy, Name: name, Document: document})
}

// ParseRepositoryPolicy reads the policy of a repository, as strictly. Where it names no
// resource it means the repository. It answers ErrPolicyInvalid. Whether those whom it
// names are there is for [Policy.CheckPrincipals] to find out.
func ParseRepositoryPolicy(document string) (*Policy, error) {
	return parse(&Policy{Kind: RepositoryPolicy, Document: document})
}

// ParseRegistryPolicy reads the policy of the registry, as strictly. Where it names no
// resource it means all repositories. It answers ErrPolicyInvalid.
func ParseRegistryPolicy(document string) (*Policy, error) {
	return parse(&Policy{Kind: RegistryPolicy, Document: document})
}

func parse(p *Policy) (*Policy, error) {
	var err error
	if p.statements, err = p.Kind.parseDocument(p.Document); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicyInvalid, err)
	}
	for i := range p.statements {
		p.readsTags = p.readsTags || p.statements[i].readsTags()
	}
	return p, nil
}

// checkSize keeps to the limits of IAM and ECR.
func (k PolicyKind) checkSize(document string) error {
	if len(document) > maxDocument {
		return fmt.Errorf("the document has %d bytes; at most %d are allowed", len(document), maxDocument)
	}
	if !utf8.ValidString(document) {
		return fmt.Errorf("the document is not UTF-8")
	}
	if k == RepositoryPolicy || k == RegistryPolicy {
		if size := utf8.RuneCountInString(document); size > MaxResourcePolicySize {
			return fmt.Errorf("the document has %d characters; at most %d are allowed", size, MaxResourcePolicySize)
		}
		return nil
	}
	if size := countNonSpace(document); size > MaxPolicySize {
		return fmt.Errorf("the document has %d characters besides white space; at most %d are allowed: "+
			"split it into several policies", size, MaxPolicySize)
	}
	return nil
}

func (k PolicyKind) parseDocument(document string) ([]statement, error) {
	d, b, err := k.openDocument(document)
	if err != nil {
		return nil, err
	}
	return parser{kind: k, dialect: d}.statements(b)
}

// openDocument checks a document as a whole and returns its Statement.
func (k PolicyKind) openDocument(document string) (d dialect, statement json.RawMessage, err error) {
	if err := k.checkSize(document); err != nil {
		return d, nil, err
	}
	if err := checkDepth(document); err != nil {
		return d, nil, err
	}
	members, err := registry.Members([]byte(document))
	if err != nil {
		return d, nil, fmt.Errorf("the document %w", err)
	}
	if err := onlyMembers(members, "Version", "Id", "Statement"); err != nil {
		return d, nil, err
	}
	version := version2008 // what IAM takes for granted
	if k == IdentityPolicy || members["Version"] != nil {
		if version, err = decodeString(members, "Version"); err != nil {
			return d, nil, err
		}
	}
	if version != version2012 && version != version2008 {
		return d, nil, fmt.Errorf(`the Version must be "2012-10-17" or "2008-10-17", not %q`, registry.Clip(version))
	}
	return dialect{variables: version == version2012}, members["Statement"], nil
}

// parser reads the statements of a document.
type parser struct {
	kind PolicyKind
	dialect
}

// splitStatement takes the member Statement apart: an object, or a list of them.
func splitStatement(b json.RawMessage) ([]json.RawMessage, error) {
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
	return list, nil
}

// statements reads the member Statement.
func (p parser) statements(b json.RawMessage) ([]statement, error) {
	list, err := splitStatement(b)
	if err != nil {
		return nil, err
	}
	sids := map[string]bool{}
	statements := make([]statement, 0, len(list))
	for i, b := range list {
		label := fmt.Sprintf("#%d", i+1)
		s, sid, err := p.statement(b, label)
		if err != nil {
			return nil, fmt.Errorf("in Statement %s: %w", label, err)
		}
		if sid != "" && sids[sid] && p.kind == IdentityPolicy {
			return nil, fmt.Errorf("in Statement %s: the Sid %q is used twice; it must be unique in the policy", label, sid)
		}
		sids[sid] = true
		statements = append(statements, s)
	}
	return statements, nil
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

// either says which of two members is there, of which one is needed.
func either(members map[string]json.RawMessage, name, not string) (string, error) {
	switch {
	case (members[name] != nil) == (members[not] != nil):
		return "", fmt.Errorf("exactly one of %s and %s is needed", name, not)
	case members[not] != nil:
		return not, nil
	}
	return name, nil
}
