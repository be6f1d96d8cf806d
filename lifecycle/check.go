package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"berth/registry"
)

// check notes what is wrong with rules that are well formed, each by itself and then
// together.
func (r *reader) check(drafts []draft) {
	for _, d := range drafts {
		r.checkTags(d)
		r.checkAction(d)
		r.checkExtension(d)
	}
	for i, d := range drafts {
		r.checkAmong(d, drafts[:i], drafts)
	}
	r.checkSizes(drafts)
}

func (r *reader) checkTags(d draft) {
	patterns, prefixes := len(d.TagPatterns) > 0, len(d.TagPrefixes) > 0
	where := d.where + ", selection"
	switch {
	case d.TagStatus != Tagged && (patterns || prefixes):
		r.note(where, "tagPrefixList or tagPatternList must not be specified when tagStatus="+strings.ToUpper(string(d.TagStatus)),
			`leave the list out, or write "tagStatus": "tagged"`)
	case d.TagStatus == Tagged && patterns && prefixes:
		r.note(where, "Must specify only one of tagPrefixList and tagPatternList when tagStatus=TAGGED.",
			"add a star to each prefix and make it a pattern")
	case d.TagStatus == Tagged && !patterns && !prefixes:
		r.note(where, "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.",
			`add "tagPatternList": ["*"] for all tagged images, or the patterns that are meant`)
	}
	for _, p := range d.TagPatterns {
		if n := strings.Count(p, "*"); n > maxWildcards {
			r.note(where+".tagPatternList", fmt.Sprintf("A string of tagPatternList can have at most %d wildcards (*), found: %d", maxWildcards, n),
				fmt.Sprintf("shorten %q, or spread it over several patterns, all of which an image must match", registry.Clip(p)))
		}
	}
}

func (r *reader) checkAction(d draft) {
	where := d.where + ", action.type"
	switch {
	case d.CountType == SinceImagePulled && d.Action != Transition && !d.expireByPull:
		r.note(where, "countType=sinceImagePulled can only be used with the action type transition",
			"archive what is not pulled, and expire what is archived in a rule with sinceImageTransitioned; "+
				`or add "berth": {"expireByPull": true} to the rule, which Amazon ECR does not know`)
	case d.CountType == SinceImageTransitioned && d.Action != Expire:
		r.note(where, "countType=sinceImageTransitioned can only be used with the action type expire",
			"write expire, since the images are archived already")
	}
}

// checkAmong holds a rule against those before it in the text, and against all.
func (r *reader) checkAmong(d draft, before, all []draft) {
	for _, other := range before {
		if other.Priority == d.Priority {
			r.note(d.where, "Rule priorities must be unique", "give it a rulePriority that no other rule has; "+other.where+" has this one")
		}
		if other.Class != d.Class || other.TagStatus != d.TagStatus {
			continue
		}
		switch {
		case d.TagStatus == Untagged:
			r.note(d.where+", selection.tagStatus", "Only one rule can select Untagged images per storage class.",
				"join it with "+other.where)
		case d.TagStatus == Tagged && sameTags(d, other):
			r.note(d.where+", selection", "A tagPrefixList or tagPatternList can only be used by one rule per storage class",
				"change the list, or join the rule with "+other.where+", after which this one could never act")
		}
	}
	if d.TagStatus != Any {
		return
	}
	for _, other := range all {
		if other.Class == d.Class && other.Priority > d.Priority {
			r.note(d.where+", selection.tagStatus", "Rule for tagStatus=ANY must have the lowest priority per storage class",
				fmt.Sprintf("there can be one such rule, and its rulePriority must be higher than the %d of %s", other.Priority, other.where))
			return
		}
	}
}

// sameTags reports whether one of two rules takes all that the other could act on. One
// that counts per group leaves what is in none of its groups.
func sameTags(a, b draft) bool {
	if b.Priority < a.Priority {
		a, b = b, a
	}
	return sameSet(a.TagPatterns, b.TagPatterns) && sameSet(a.TagPrefixes, b.TagPrefixes) && (a.Group == "" || a.Group == b.Group)
}

// sameSet reports whether two lists have the same items, however often and in whatever
// order.
func sameSet(a, b []string) bool {
	return slices.Equal(set(a), set(b))
}

func set(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}
