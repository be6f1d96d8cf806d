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
	any             bool
	region, account string
	name            pattern
}

// matches reports whether the resource speaks of the repository of r. A request about
// the registry itself has no repository and is met by "*" alone.
func (x *resource) matches(r *Request) bool {
	if x.any {
		return true
	}
	return r.Repo != "" &&
		x.name.match(r, string(r.Repo)) &&
		MatchWildcard(x.region, r.Location.region()) &&
		MatchWildcard(x.account, r.Location.account())
}

// parseResource reads "*" or arn:aws:ecr:REGION:ACCOUNT:repository/PATTERN.
func (d dialect) parseResource(s string) (resource, error) {
	if s == "*" {
		return resource{any: true}, nil
	}
	const shape = `it should be "*" or look like arn:aws:ecr:REGION:ACCOUNT:repository/PATTERN`
	parts := strings.SplitN(s, ":", 6)
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
	if !consistsOf(parts[3], "abcdefghijklmnopqrstuvwxyz0123456789-*?") {
		return resource{}, fmt.Errorf("resource %q: the region must be lower-case letters, digits, dashes and the wildcards * and ?", registry.Clip(s))
	}
	if !consistsOf(parts[4], "0123456789*?") {
		return resource{}, fmt.Errorf("resource %q: the account must be digits and the wildcards * and ?", registry.Clip(s))
	}
	pattern, err := d.parseRepositories(name)
	if err != nil {
		return resource{}, fmt.Errorf("resource %q: %w", registry.Clip(s), err)
	}
	return resource{region: parts[3], account: parts[4], name: pattern}, nil
}

// parseRepositories reads a pattern for names of repositories, which may have
// variables.
func (d dialect) parseRepositories(s string) (pattern, error) {
	if !d.variables || !strings.Contains(s, "${") {
		if err := checkPattern(s); err != nil {
			return pattern{}, err
		}
		return d.compile(s, true)
	}
	p, err := d.compile(s, true)
	if err != nil {
		return p, err
	}
	written := 0
	for _, q := range p.pieces {
		written += len(q.text)
		switch {
		case q.literal && q.text == "": // a variable
		case q.literal:
			return p, fmt.Errorf("no name of a repository has a %s", q.text)
		default:
			if err := checkPattern(q.text); err != nil {
				return p, err
			}
		}
	}
	if written > registry.MaxNameLength {
		return p, fmt.Errorf("the pattern for repositories has %d characters besides its variables; at most %d are allowed", written, registry.MaxNameLength)
	}
	return p, nil
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
		return fmt.Errorf(`variables such as ${aws:username} are known only in policies of the Version "2012-10-17"`)
	case !consistsOf(pattern, "abcdefghijklmnopqrstuvwxyz0123456789._-/*?"):
		return fmt.Errorf("the pattern %q for repositories must be lower-case letters, digits, '.', '_', '-', '/' and the wildcards * and ?", registry.Clip(pattern))
	}
	return nil
}

func consistsOf(s, allowed string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(allowed, r) }) < 0
}
