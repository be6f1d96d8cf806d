package scan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/registry"
)

// GateMode is what a gate does to pulls of images that are not to pass.
type GateMode string

// The modes. Off lets all images pass, for repositories that a gate with a wider pattern would
// otherwise be for.
const (
	Block GateMode = "block"
	Warn  GateMode = "warn"
	Off   GateMode = "off"
)

// Gate says which images of some repositories may be pulled, by their vulnerabilities.
type Gate struct {
	Repository string   `json:"repository"` // pattern of names, in which * stands for any characters and ? for one
	Mode       GateMode `json:"mode"`

	// An image does not pass if it has a finding of Severity or worse that was first found in
	// it at least After ago. With Fixable only findings that have a fix count.
	Severity Severity      `json:"severity"`
	Fixable  bool          `json:"fixable,omitempty"`
	After    time.Duration `json:"after,omitempty"` // nanoseconds

	// Scanned also stops images whose vulnerabilities nobody knows yet. What cannot be scanned
	// passes.
	Scanned bool `json:"scanned,omitempty"`

	// IgnoreVEX leaves VEX documents aside: whoever may push may attach one.
	IgnoreVEX bool `json:"ignoreVEX,omitempty"`

	Author    string    `json:"author"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// MaxGates is how many gates there can be. Each pull is held against the patterns of all.
const MaxGates = 500

// ErrGateUnknown says that there is no such gate.
var ErrGateUnknown = errors.New("there is no gate for that pattern; berth scan gate list has all")

// Validate says what is wrong with a gate that is about to be made.
func (g Gate) Validate() error {
	if !slices.Contains([]GateMode{Block, Warn, Off}, g.Mode) {
		return fmt.Errorf("%q is no mode of a gate: there are %s, %s and %s", g.Mode, Block, Warn, Off)
	}
	if g.After < 0 {
		return errors.New("findings cannot be younger than none: give 0 or a time such as 7d")
	}
	_, err := ParseSeverity(string(g.Severity))
	return errors.Join(err, checkRepositories(g.Repository), checkText("author", g.Author, maxPattern))
}

// stops reports whether a finding keeps an image from passing, going by severity and fix alone.
func (g Gate) stops(severity Severity, fixable bool) bool {
	return severity.AtLeast(g.Severity) && (fixable || !g.Fixable)
}

// due is when a finding that was first found at a time begins to do so.
func (g Gate) due(found time.Time) time.Time { return found.Add(g.After) }

// mayStop reports whether any of the findings that b sums up keeps an image from passing.
func (g Gate) mayStop(b Blocking, now time.Time) bool {
	return slices.ContainsFunc(b, func(group BlockingGroup) bool {
		return g.stops(group.Severity, group.Fixable) && !g.due(group.FirstFoundAt).After(now)
	})
}

// stopping are the findings that keep an image from passing. until is when there will be
// more of them by themselves; zero is never.
func (g Gate) stopping(findings []Finding, now time.Time) (all []Finding, until time.Time) {
	for _, f := range findings {
		if !g.stops(f.Severity, f.Fixable()) {
			continue
		}
		due := g.due(f.FirstFoundAt)
		if !due.After(now) {
			all = append(all, f)
		} else if until.IsZero() || due.Before(until) {
			until = due
		}
	}
	return all, until
}

// GateFor finds the gate of a repository among gates in the order of [SortGates], nil if none
// is for it.
func GateFor(gates []Gate, repo registry.Name) *Gate {
	for i := range gates {
		if registry.MatchWildcard(gates[i].Repository, string(repo)) {
			return &gates[i]
		}
	}
	return nil
}

// SortGates puts gates in the order in which they are asked. The most specific is first: a
// name without * and ?, then the pattern with the most before its first star or question
// mark, then the longer one.
func SortGates(gates []Gate) {
	slices.SortFunc(gates, func(a, b Gate) int {
		plainA, exactA := literal(a.Repository)
		plainB, exactB := literal(b.Repository)
		switch {
		case exactA && !exactB:
			return -1
		case exactB && !exactA:
			return 1
		}
		return cmp.Or(cmp.Compare(plainB, plainA), cmp.Compare(len(b.Repository), len(a.Repository)), strings.Compare(a.Repository, b.Repository))
	})
}

// literal is how many characters a pattern has before the first that stands for others, and
// whether there is none.
func literal(pattern string) (n int, exact bool) {
	if n = strings.IndexAny(pattern, "*?"); n < 0 {
		return len(pattern), true
	}
	return n, false
}

// String is what the gate does, in words.
func (g Gate) String() string {
	if g.Mode == Off {
		return "lets all images pass"
	}
	s := "blocks images"
	if g.Mode == Warn {
		s = "warns of images"
	}
	s += " with findings of severity " + string(g.Severity)
	if g.Severity != Undefined {
		s += " or worse"
	}
	if g.Fixable {
		s += " that have a fix"
	}
	if g.After > 0 {
		which := "that"
		if g.Fixable {
			which = "and"
		}
		s += fmt.Sprintf(" %s were found at least %s ago", which, days(g.After))
	}
	if g.Scanned {
		s += ", and those that are not scanned"
	}
	if g.IgnoreVEX {
		s += ", whatever VEX documents say"
	}
	return s
}

// days is a duration for people, in days where it has whole ones.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day != 0 {
		return d.String()
	}
	if d == day {
		return "a day"
	}
	return fmt.Sprintf("%d days", d/day)
}
