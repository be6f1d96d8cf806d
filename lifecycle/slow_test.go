package lifecycle_test

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
)

// slow says the same as Decide, sentence by sentence as the language is described, for
// one image at a time and without remembering anything.
type slow struct {
	*lifecycle.Policy
	rules  []lifecycle.Rule
	images []lifecycle.Image
	now    time.Time
}

// verdict is a decision without what made the rule take the image.
type verdict struct {
	rule    int
	action  lifecycle.Action
	follows bool
	tags    string // all of it if empty
}

// decide lists what is taken and what is blocked.
func (s slow) decide() (taken, blocked map[digest.Digest]verdict) {
	taken, blocked = map[digest.Digest]verdict{}, map[digest.Digest]verdict{}
	for _, i := range s.images {
		for _, r := range s.rules {
			if !s.picks(r, i) || s.claimedBefore(r, i) || s.spared(i) {
				continue
			}
			v := verdict{rule: r.Priority, action: r.Action}
			switch {
			case r.TagsOnly:
				v.tags = s.tags(r, i)
				taken[i.Digest] = v
			case len(i.Indexes) > 0:
				blocked[i.Digest] = v
			default:
				taken[i.Digest] = v
			}
		}
	}
	for s.expireOne(taken) {
	}
	for s.archiveOne(taken) {
	}
	for d := range taken {
		if goesWhole(taken, d) {
			delete(blocked, d)
		}
	}
	return taken, blocked
}

// goesWhole: an image is taken, and not only tags of it.
func goesWhole(taken map[digest.Digest]verdict, d digest.Digest) bool {
	v, goes := taken[d]
	return goes && v.tags == ""
}

// claimedBefore: an image that matches the tagging requirement of a rule can never be
// acted on by a rule of lower priority.
func (s slow) claimedBefore(r lifecycle.Rule, i lifecycle.Image) bool {
	for _, earlier := range s.rules {
		if earlier.Priority < r.Priority && s.inPool(earlier, i) {
			return true
		}
	}
	return false
}

// picks: by count, what is behind the first N of the pool, youngest first; by days, what
// has a clock older than N days. In groups, what is behind the first N of each group that
// it is in, or of any of them if only tags go.
func (s slow) picks(r lifecycle.Rule, i lifecycle.Image) bool {
	switch {
	case !s.inPool(r, i):
		return false
	case r.Group != "":
		beyond := 0
		for _, g := range groups(r, i) {
			if s.rank(r, g, i) > r.CountNumber {
				beyond++
			}
		}
		return beyond == len(groups(r, i)) || beyond > 0 && r.TagsOnly
	case r.CountType == lifecycle.ImageCountMoreThan:
		return s.rank(r, "", i) > r.CountNumber
	}
	return s.now.Sub(clock(r, i)) > time.Duration(r.CountNumber)*24*time.Hour
}

// rank is the place of an image in the pool of a rule, or among those in a group.
func (s slow) rank(r lifecycle.Rule, group string, i lifecycle.Image) int {
	rank := 1
	for _, other := range s.images {
		younger := clock(r, other).After(clock(r, i))
		if clock(r, other).Equal(clock(r, i)) {
			younger = other.Digest < i.Digest
			if listed := len(other.Indexes) > 0; listed != (len(i.Indexes) > 0) {
				younger = !listed
			}
		}
		counted := s.inPool(r, other) && (r.Group == "" || slices.Contains(groups(r, other), group))
		if counted && younger {
			rank++
		}
	}
	return rank
}

// groups: what the expression captures in the tags that the list selects.
func groups(r lifecycle.Rule, i lifecycle.Image) []string {
	var all []string
	for _, t := range i.Tags {
		if m := regexp.MustCompile("^(?:" + r.Group + ")$").FindStringSubmatch(string(t)); m != nil && listed(r, t) {
			all = append(all, m[1])
		}
	}
	return all
}

// tags: those that the list selects; in groups, those in a group whose first N do not
// have the image.
func (s slow) tags(r lifecycle.Rule, i lifecycle.Image) string {
	var all []string
	for _, t := range i.Tags {
		one := i
		one.Tags = []registry.Tag{t}
		of := groups(r, one)
		if listed(r, t) && (r.Group == "" || len(of) > 0 && s.rank(r, of[0], i) > r.CountNumber) {
			all = append(all, string(t))
		}
	}
	return strings.Join(all, ",")
}

// spared: what was pulled lately or runs; or an index above such an image; or what is
// below any of these, as a child or a referrer.
func (s slow) spared(i lifecycle.Image) bool {
	for _, other := range s.images {
		if s.used(other) {
			for _, top := range s.above([]digest.Digest{other.Digest}) {
				if slices.Contains(s.below([]digest.Digest{top}), i.Digest) {
					return true
				}
			}
		}
	}
	return false
}

func (s slow) used(i lifecycle.Image) bool {
	pulled := !i.LastPulledAt.IsZero() && s.now.Sub(i.LastPulledAt) <= time.Duration(s.KeepPulledDays)*24*time.Hour
	return s.KeepPulledDays > 0 && pulled || s.KeepRunning && len(i.RunningIn) > 0
}

// above adds to images the indexes that list them, and the indexes that list those.
func (s slow) above(all []digest.Digest) []digest.Digest {
	for _, i := range s.images {
		for _, index := range i.Indexes {
			if slices.Contains(all, i.Digest) && !slices.Contains(all, index) && s.find(index) != nil {
				return s.above(append(all, index))
			}
		}
	}
	return all
}

// below adds to images their children and referrers, and those of these.
func (s slow) below(all []digest.Digest) []digest.Digest {
	for _, i := range s.images {
		for _, leader := range append([]digest.Digest{i.Subject}, i.Indexes...) {
			if slices.Contains(all, leader) && !slices.Contains(all, i.Digest) {
				return s.below(append(all, i.Digest))
			}
		}
	}
	return all
}

func clock(r lifecycle.Rule, i lifecycle.Image) time.Time {
	wasRestored, wasPulled := !i.ActivatedAt.IsZero(), !i.LastPulledAt.IsZero()
	switch r.CountType {
	case lifecycle.SinceImageTransitioned:
		return i.ArchivedAt
	case lifecycle.SinceImagePulled:
		if wasRestored && (!wasPulled || i.LastPulledAt.Before(i.ActivatedAt)) {
			return i.ActivatedAt
		}
		if wasPulled {
			return i.LastPulledAt
		}
		return i.PushedAt
	}
	if wasRestored {
		return i.ActivatedAt
	}
	return i.PushedAt
}

// inPool: images in the storage class of the rule that match its tag selection, without
// those whose subject lives.
func (s slow) inPool(r lifecycle.Rule, i lifecycle.Image) bool {
	if i.Class != r.Class || i.Subject != "" && s.find(i.Subject) != nil {
		return false
	}
	switch r.TagStatus {
	case lifecycle.Untagged:
		return len(i.Tags) == 0
	case lifecycle.Any:
		return true
	}
	for _, e := range expressions(r) {
		matched := false
		for _, t := range i.Tags {
			matched = matched || regexp.MustCompile(e).MatchString(string(t))
		}
		if !matched {
			return false
		}
	}
	return len(i.Tags) > 0 && (r.Group == "" || len(groups(r, i)) > 0)
}

// listed: an item of the list matches the tag.
func listed(r lifecycle.Rule, t registry.Tag) bool {
	return slices.ContainsFunc(expressions(r), func(e string) bool { return regexp.MustCompile(e).MatchString(string(t)) })
}

// expressions are the items of a rule's list.
func expressions(r lifecycle.Rule) []string {
	var all []string
	for _, p := range r.TagPatterns {
		all = append(all, "^"+strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*")+"$")
	}
	for _, p := range r.TagPrefixes {
		all = append(all, "^"+regexp.QuoteMeta(p))
	}
	return all
}

func (s slow) find(d digest.Digest) *lifecycle.Image {
	for n := range s.images {
		if s.images[n].Digest == d {
			return &s.images[n]
		}
	}
	return nil
}

// expireOne adds a referrer whose subject expires and which no index lists.
func (s slow) expireOne(taken map[digest.Digest]verdict) bool {
	for _, i := range s.images {
		subject, goes := taken[i.Subject]
		if goesWhole(taken, i.Digest) || s.spared(i) {
			continue
		}
		if goes && subject.action == lifecycle.Expire && subject.tags == "" && len(i.Indexes) == 0 {
			taken[i.Digest] = verdict{subject.rule, lifecycle.Expire, true, ""}
			return true
		}
	}
	return false
}

// archiveOne adds an image that can be pulled, whose subject or one of whose indexes is
// archived now, if no index is left that lists it and can be pulled.
func (s slow) archiveOne(taken map[digest.Digest]verdict) bool {
	for _, i := range s.images {
		if goesWhole(taken, i.Digest) || i.Class != registry.Standard || s.spared(i) {
			continue
		}
		kept := slices.ContainsFunc(i.Indexes, func(d digest.Digest) bool {
			index := s.find(d)
			return index == nil || index.Class != registry.Archive && !goesWhole(taken, d)
		})
		for _, d := range append([]digest.Digest{i.Subject}, i.Indexes...) {
			if leader, goes := taken[d]; goes && leader.action == lifecycle.Transition && !kept {
				taken[i.Digest] = verdict{leader.rule, lifecycle.Transition, true, ""}
				return true
			}
		}
	}
	return false
}
