package auth

import (
	"fmt"
	"strings"

	"berth/registry"
)

// Location says where the repositories are, in the words of AWS: it is part of
// their ARNs and of nothing else.
type Location struct {
	Region  string // empty means "local"
	Account string // twelve digits; empty means "000000000000"
}

func (l Location) region() string {
	if l.Region == "" {
		return "local"
	}
	return l.Region
}

func (l Location) account() string {
	if l.Account == "" {
		return "000000000000"
	}
	return l.Account
}

// ARN is the Amazon resource name of a repository.
func (l Location) ARN(repo registry.Name) string {
	return "arn:aws:ecr:" + l.region() + ":" + l.account() + ":repository/" + string(repo)
}

// resource is what a statement says about resources: everything, or the
// repositories whose region, account and name match three patterns.
type resource struct {
	any                   bool
	region, account, name string
}

// matches reports whether r speaks of the repository at l. A request about the
// registry itself has no repository and is met by "*" alone.
func (r resource) matches(l Location, repo registry.Name) bool {
	if r.any {
		return true
	}
	return repo != "" &&
		MatchWildcard(r.name, string(repo)) &&
		MatchWildcard(r.region, l.region()) &&
		MatchWildcard(r.account, l.account())
}

// parseResource reads "*" or arn:aws:ecr:REGION:ACCOUNT:repository/PATTERN.
func parseResource(s string) (resource, error) {
	if s == "*" {
		return resource{any: true}, nil
	}
	const shape = `it should be "*" or look like arn:aws:ecr:REGION:ACCOUNT:repository/PATTERN`
	parts := strings.Split(s, ":")
	if len(parts) != 6 || parts[0] != "arn" {
		return resource{}, fmt.Errorf("resource %q is not a repository ARN; %s", registry.Clip(s), shape)
	}
	if parts[1] != "aws" || parts[2] != "ecr" {
		return resource{}, fmt.Errorf(`resource %q is not of this registry: it must begin with "arn:aws:ecr:"`, registry.Clip(s))
	}
	name, ok := strings.CutPrefix(parts[5], "repository/")
	if !ok {
		return resource{}, fmt.Errorf("resource %q does not name repositories; %s", registry.Clip(s), shape)
	}
	if err := checkPattern(name); err != nil {
		return resource{}, fmt.Errorf("resource %q: %w", registry.Clip(s), err)
	}
	if !consistsOf(parts[3], "abcdefghijklmnopqrstuvwxyz0123456789-*?") {
		return resource{}, fmt.Errorf("resource %q: the region must be lower-case letters, digits, dashes and the wildcards * and ?", registry.Clip(s))
	}
	if !consistsOf(parts[4], "0123456789*?") {
		return resource{}, fmt.Errorf("resource %q: the account must be digits and the wildcards * and ?", registry.Clip(s))
	}
	return resource{region: parts[3], account: parts[4], name: name}, nil
}

// checkPattern checks a pattern for names of repositories, so that one which can
// never match is a mistake that is told and not a rule that silently does nothing.
func checkPattern(pattern string) error {
	switch {
	case pattern == "":
		return fmt.Errorf("the pattern for repositories is empty; use * for all of them")
	case len(pattern) > registry.MaxNameLength:
		return fmt.Errorf("the pattern for repositories has %d characters; at most %d are allowed", len(pattern), registry.MaxNameLength)
	case strings.Contains(pattern, "${"):
		return fmt.Errorf("policy variables such as ${aws:username} are not supported")
	case !consistsOf(pattern, "abcdefghijklmnopqrstuvwxyz0123456789._-/*?"):
		return fmt.Errorf("the pattern %q for repositories must be lower-case letters, digits, '.', '_', '-', '/' and the wildcards * and ?", registry.Clip(pattern))
	}
	return nil
}

func consistsOf(s, allowed string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(allowed, r) }) < 0
}
