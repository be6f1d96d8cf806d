package auth

import (
	"fmt"
	"slices"
	"strings"
)

// sharedIssuers are identity providers from which anybody can get tokens, whose accounts
// differ in what the tokens say and not in the issuer: in the claims that are listed, each of
// which says by itself whose the token is.
var sharedIssuers = map[string][]string{
	"https://token.actions.githubusercontent.com": {"sub", "repository", "repository_id", "repository_owner", "repository_owner_id"},
	"https://gitlab.com":                          {"sub", "namespace_id", "namespace_path", "project_id", "project_path"},
	"https://accounts.google.com":                 {"sub", "email", "hd"},
	"https://agent.buildkite.com":                 {"sub", "organization_id", "organization_slug"},
	"https://app.terraform.io": {
		"sub", "terraform_organization_id", "terraform_organization_name", "terraform_project_id", "terraform_workspace_id",
	},
}

// checkNarrow refuses a statement that trusts an identity provider with too much.
func (s *trustStatement) checkNarrow() error {
	for _, issuer := range s.issuers {
		key := issuerKey(issuer)
		if !s.pins(func(c *condition) bool { return c.key.tag == key+"aud" && c.all(begins) }) {
			return fmt.Errorf("a condition on %saud is needed, as in "+
				`{"StringEquals": {"%[1]saud": "AUDIENCE"}}: without it a token that %s has made for any other service would do, `+
				"and whoever runs that could take on the role with it", key, issuer)
		}
		owners, shared := sharedIssuers[issuer]
		if !shared {
			continue
		}
		if !s.pins(func(c *condition) bool {
			claim, isClaim := strings.CutPrefix(c.key.tag, key)
			return isClaim && slices.Contains(owners, claim) && c.all(namesOwner)
		}) {
			return fmt.Errorf("a condition on %ssub, or another claim that says whose the token is (%s), is needed, "+
				`as in {"StringLike": {"%[1]ssub": "…:OWNER/PROJECT:*"}}: anybody can get tokens from %[3]s. `+
				"The name of the owner must stand before the first wildcard, to its end", key, strings.Join(owners[1:], ", "), issuer)
		}
	}
	return nil
}

// pins reports whether there is a condition that a token can only meet with one of the
// values it lists, and of which that is so.
func (s *trustStatement) pins(is func(*condition) bool) bool {
	return slices.ContainsFunc(s.conditions, func(c condition) bool {
		text := c.compare == compareEqual || c.compare == compareFold || c.compare == compareLike
		return text && !c.negated && !c.ifExists && c.over != forAll && c.key.kind == otherKey && is(&c)
	})
}

// begins reports whether a pattern has a beginning that is not a wildcard or a variable.
func begins(p *pattern) bool {
	return len(p.pieces) > 0 && len(p.variables) == 0 && p.prefix(nil) != ""
}

// namesOwner reports whether a pattern for a claim like repo:OWNER/NAME:ref:… names the
// owner, and not only how its name begins.
func namesOwner(p *pattern) bool {
	if !begins(p) {
		return false
	}
	prefix := p.prefix(nil)
	if len(prefix) == p.length() {
		return true
	}
	if _, rest, found := strings.Cut(prefix, ":"); found {
		prefix = rest
	}
	return strings.IndexAny(prefix, ":/") > 0
}
