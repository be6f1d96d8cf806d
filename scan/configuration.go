package scan

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"berth/registry"
)

// Mode is what kind of scanning a registry does, in the words of Amazon ECR. In berth both
// look for the same and differ in what starts a scan and how findings are shown.
type Mode string

// The modes.
const (
	Basic    Mode = "BASIC"
	Enhanced Mode = "ENHANCED"
)

// Frequency says when images of a repository are scanned.
type Frequency string

// The frequencies. Manual: when somebody asks, and in mode Enhanced not at all.
const (
	OnPush     Frequency = "SCAN_ON_PUSH"
	Continuous Frequency = "CONTINUOUS_SCAN" // on push, and again with each database
	Manual     Frequency = "MANUAL"
)

// Configuration says for a whole registry which images are scanned, and when. It is stored
// as the API of Amazon ECR has it.
type Configuration struct {
	Mode  Mode   `json:"scanType"`
	Rules []Rule `json:"rules"` // one of each frequency at most
}

// Rule is how often the images of some repositories are scanned.
type Rule struct {
	Frequency Frequency `json:"scanFrequency"`
	Filters   []Filter  `json:"repositoryFilters"`
}

// Filter chooses repositories by name.
type Filter struct {
	Filter string `json:"filter"`
	Type   string `json:"filterType"` // always WILDCARD
}

// FilterPattern is what a filter matches as a whole; it has maxFilter characters at most.
const FilterPattern = `[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*`

// The limits of Amazon ECR.
const (
	maxFilter  = 255
	maxFilters = 100 // in a rule
)

var filterPattern = regexp.MustCompile(`^(?:` + FilterPattern + `)$`)

// NewConfiguration makes a configuration of the filters for repositories whose images are
// scanned on push, and of those for which that happens again with each database, which
// Amazon ECR has in mode Enhanced alone.
func NewConfiguration(mode Mode, onPush, continuous []string) (Configuration, error) {
	c := Configuration{Mode: mode, Rules: []Rule{}}
	if mode == Basic && len(continuous) > 0 {
		return c, fmt.Errorf("scanning continuously is for mode %s; in mode %s images are scanned on push", Enhanced, Basic)
	}
	for frequency, filters := range map[Frequency][]string{OnPush: onPush, Continuous: continuous} {
		rule := Rule{Frequency: frequency}
		for _, f := range filters {
			if len(f) > maxFilter || !filterPattern.MatchString(f) {
				return c, fmt.Errorf("%q is no filter: it is a part of the name of a repository, or a whole name in which * stands for any characters", registry.Clip(f))
			}
			rule.Filters = append(rule.Filters, Filter{f, "WILDCARD"})
		}
		if len(filters) > maxFilters {
			return c, fmt.Errorf("there are %d filters; a rule has %d at most", len(filters), maxFilters)
		}
		if len(filters) > 0 {
			c.Rules = append(c.Rules, rule)
		}
	}
	slices.SortFunc(c.Rules, func(a, b Rule) int { return strings.Compare(string(a.Frequency), string(b.Frequency)) })
	return c, nil
}

// ParseConfiguration reads a configuration as it is kept; that of a registry about which
// nothing was said is Basic without rules.
func ParseConfiguration(kept json.RawMessage) (Configuration, error) {
	c := Configuration{Mode: Basic, Rules: []Rule{}}
	if len(kept) == 0 {
		return c, nil
	}
	err := json.Unmarshal(kept, &c)
	return c, err
}

// For says how often images of a repository are scanned, and which filters say so. The rules
// decide or, as long as there are none, onPush, which is the repository's own setting.
func (c Configuration) For(name registry.Name, onPush bool) (Frequency, []Filter) {
	for _, f := range []Frequency{Continuous, OnPush, Manual} { // the most frequent of those that apply
		if applied := c.applied(f, name); len(applied) > 0 {
			return f, applied
		}
	}
	if len(c.Rules) == 0 && c.Mode == Basic && onPush {
		return OnPush, nil
	}
	return Manual, nil
}

// applied are the filters of the rules of a frequency that a repository matches.
func (c Configuration) applied(frequency Frequency, repo registry.Name) (applied []Filter) {
	for _, rule := range c.Rules {
		for _, f := range rule.Filters {
			if rule.Frequency == frequency && f.matches(repo) {
				applied = append(applied, f)
			}
		}
	}
	return applied
}

// matches reports whether the filter chooses a repository. One without a star may stand
// anywhere in the name.
func (f Filter) matches(repo registry.Name) bool {
	if !strings.Contains(f.Filter, "*") {
		return strings.Contains(string(repo), f.Filter)
	}
	return registry.MatchWildcard(f.Filter, string(repo))
}
