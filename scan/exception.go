package scan

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"berth/registry"
)

// Exception takes findings out of reports and out of what gates go by, since somebody has
// decided that they do not matter, or do not matter yet. In its patterns * stands for any
// number of characters and ? for one.
type Exception struct {
	ID            int64     `json:"id"`
	Vulnerability string    `json:"vulnerability"`     // pattern of its name, or of one that a vendor has for it, in upper or lower case
	Package       string    `json:"package,omitempty"` // pattern of the package's name; empty is any
	Repository    string    `json:"repository"`        // pattern of the repository's name
	Reason        string    `json:"reason"`
	Author        string    `json:"author"`
	CreatedAt     time.Time `json:"createdAt"`
	ExpiresAt     time.Time `json:"expiresAt,omitzero"` // from when on it is not in force any more; zero is never
}

// ErrExceptionUnknown says that there is no such exception.
var ErrExceptionUnknown = errors.New("there is no such exception; berth scan exception list has all")

// Limits on what people write.
const (
	maxPattern = 300
	maxReason  = 2000
)

// Validate says what is wrong with an exception that is about to be made.
func (x Exception) Validate(now time.Time) error {
	if x.Vulnerability == "" {
		return errors.New("an exception is for a vulnerability, such as CVE-2024-1234, or for a pattern such as *")
	}
	if strings.TrimSpace(x.Reason) == "" {
		return errors.New("an exception has a reason, for those who find it later")
	}
	if !x.ExpiresAt.IsZero() && !x.ExpiresAt.After(now) {
		return fmt.Errorf("the exception would have expired at %s already", x.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return errors.Join(
		checkText("pattern of vulnerabilities", x.Vulnerability, maxPattern),
		checkText("pattern of packages", x.Package, maxPattern),
		checkRepositories(x.Repository),
		checkText("reason", x.Reason, maxReason),
		checkText("author", x.Author, maxPattern))
}

// checkText refuses what is too long, or could do something to a terminal.
func checkText(what, s string, most int) error {
	switch {
	case len(s) > most:
		return fmt.Errorf("the %s has %d bytes; at most %d are allowed", what, len(s), most)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the %s %q has characters that cannot be shown", what, s)
	}
	return nil
}

// checkRepositories refuses patterns that match no repository, whatever its name.
func checkRepositories(pattern string) error {
	if pattern == "" {
		return errors.New("the pattern of repositories is empty; * is all of them")
	}
	if len(pattern) > maxPattern || strings.Trim(pattern, "abcdefghijklmnopqrstuvwxyz0123456789._-/*?") != "" {
		return fmt.Errorf("no repository is called like %q: names have small letters, digits and ./_-, in a pattern * and ?, and neither the host of the registry nor a tag", registry.Clip(pattern))
	}
	return nil
}

// InForce reports whether the exception holds at a time.
func (x Exception) InForce(at time.Time) bool {
	return x.ExpiresAt.IsZero() || at.Before(x.ExpiresAt)
}

// IsFor reports whether the exception is about images of a repository.
func (x Exception) IsFor(repo registry.Name) bool {
	return registry.MatchWildcard(x.Repository, string(repo))
}

// covers reports whether the exception is about a finding in a repository that it is for.
func (x Exception) covers(f Finding) bool {
	if x.Package != "" && !registry.MatchWildcard(x.Package, f.Package.Name) {
		return false
	}
	pattern := strings.ToUpper(x.Vulnerability)
	for _, name := range f.names() {
		if registry.MatchWildcard(pattern, name) {
			return true
		}
	}
	return false
}

// names are what the vulnerability is called by anybody, in upper case.
func (f Finding) names() []string {
	names := make([]string, 0, 1+len(f.Aliases))
	names = append(names, strings.ToUpper(f.ID))
	for _, a := range f.Aliases {
		names = append(names, strings.ToUpper(a))
	}
	return names
}

func (x Exception) excepted(f Finding) Excepted {
	return Excepted{Finding: f, Reason: x.Reason, By: fmt.Sprintf("exception %d", x.ID), Author: x.Author, Until: x.ExpiresAt}
}
