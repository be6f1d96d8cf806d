package lifecycle

import (
	"slices"
	"strings"

	"berth/registry"
)

// tagItem is an item of a list of patterns or prefixes: what a tag begins with, and a
// pattern for the rest of it.
type tagItem struct {
	head string
	tail string // empty, or a star and what follows it
}

// tagItems reads the list of a rule.
func tagItems(r Rule) []tagItem {
	var items []tagItem
	for _, prefix := range set(r.TagPrefixes) {
		items = append(items, tagItem{prefix, "*"})
	}
	for _, pattern := range set(r.TagPatterns) {
		items = append(items, newTagItem(pattern))
	}
	return items
}

func newTagItem(pattern string) tagItem {
	star := strings.IndexByte(pattern, '*')
	// No tag has a question mark, which is a wildcard elsewhere but not here. Such a pattern
	// is compared as it stands and matches nothing.
	if star < 0 || strings.Contains(pattern, "?") {
		return tagItem{head: pattern}
	}
	return tagItem{pattern[:star], pattern[star:]}
}

func (i tagItem) matches(t registry.Tag) bool {
	rest, found := strings.CutPrefix(string(t), i.head)
	switch {
	case !found:
		return false
	case i.tail == "*":
		return true
	}
	return registry.MatchWildcard(i.tail, rest)
}

// meets reports whether a rule is about an image but for the groups of its tags: whether
// it has the rule's storage class, and a tag for each item of its list.
func (r *Rule) meets(i *Image) bool {
	if i.Class != r.Class {
		return false
	}
	switch r.TagStatus {
	case Any:
		return true
	case Untagged:
		return len(i.Tags) == 0
	}
	for _, item := range r.items {
		if !slices.ContainsFunc(i.Tags, item.matches) {
			return false
		}
	}
	return true
}

// selects reports whether an item of the rule's list matches a tag.
func (r *Rule) selects(t registry.Tag) bool {
	return slices.ContainsFunc(r.items, func(item tagItem) bool { return item.matches(t) })
}
