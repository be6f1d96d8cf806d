package scan

import (
	"encoding/json"
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

// Configuration is what is scanned in a registry as a whole. It is kept as the API of
// Amazon ECR has it.
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

// For is how often images of a repository are scanned, and by which filters: as the rules
// say or, as long as there are none, as the repository's own setting does.
func (c Configuration) For(name registry.Name, onPush bool) (Frequency, []Filter) {
	for _, f := range []Frequency{Continuous, OnPush, Manual} { // the most of those that apply
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

// matches reports whether the filter is that of a repository. One without a star is anywhere
// in the name.
func (f Filter) matches(repo registry.Name) bool {
	if !strings.Contains(f.Filter, "*") {
		return strings.Contains(string(repo), f.Filter)
	}
	return registry.MatchWildcard(f.Filter, string(repo))
}
