package lifecycle

import (
	"time"

	"berth/registry"
)

// turn is a rule while images come before it one by one, the youngest first.
type turn struct {
	rule  *Rule
	limit time.Time       // of days
	rank  int             // of the image that came last
	seats map[string]seat // of groups
	picks []int           // the images that it would take
}

// standing is where an image stands with the rule that it belongs to; without a rule it
// belongs to none.
type standing struct {
	rule  *Rule
	goes  bool // if nothing but rules is asked
	place      // where images are counted
	tags  []registry.Tag
}

// place is a rank among all images of a rule, or in a group; the zero value is none.
type place struct {
	rank  int
	group string
}

// seat is the last image of a group so far.
type seat struct{ rank, image int } // both from 1

func newTurn(r *Rule, now time.Time) turn {
	return turn{rule: r, limit: daysBefore(now, r.CountNumber), seats: map[string]seat{}}
}

// daysBefore is the time from which on N days are not over yet.
func daysBefore(now time.Time, days int) time.Time {
	return now.UTC().AddDate(0, 0, -days) // a day of UTC has 24 hours
}

// judge lets rules see the image that has a number. It belongs to the first that it
// meets; for others it matters only for the ranks of the rest.
func (c *census) judge(n int, turns []turn) {
	i := &c.images[n]
	if _, there := c.number[i.Subject]; there {
		return
	}
	for k := range turns {
		t := &turns[k]
		claimed := c.standings[n].rule != nil
		if claimed && t.rule.CountType != ImageCountMoreThan || !t.rule.meets(i) {
			continue
		}
		s, ok := t.see(n, i)
		if !ok || claimed {
			continue
		}
		if s.goes {
			t.picks = append(t.picks, n)
			if t.rule.TagsOnly {
				s.tags = t.tags(i)
			}
		}
		c.standings[n] = s
	}
}

// see counts an image that meets the rule. It is not ok if it is in no group of a rule
// that has groups.
func (t *turn) see(n int, i *Image) (s standing, ok bool) {
	s.rule = t.rule
	switch {
	case t.rule.grouping != nil:
		s.place, s.goes = t.seat(n, i)
		return s, s.rank > 0
	case t.rule.CountType == ImageCountMoreThan:
		t.rank++
		s.rank, s.goes = t.rank, t.rank > t.rule.CountNumber
	default:
		since := i.since(t.rule.CountType)
		s.goes = since.Before(t.limit) && !since.IsZero()
	}
	return s, true
}

// seat gives an image its ranks, one in each of its groups. The place is the best of
// those with which the rule takes the image, or tags of it, and else the best of all; it
// is zero if the image is in no group.
func (t *turn) seat(n int, i *Image) (best place, goes bool) {
	var beyond place
	stays := false
	for _, tag := range i.Tags {
		group, in := t.rule.groupOf(tag)
		if !in {
			continue
		}
		s := t.seats[group]
		if s.image != n+1 {
			s = seat{s.rank + 1, n + 1}
			t.seats[group] = s
		}
		here := place{s.rank, group}
		best.improve(here)
		if s.rank > t.rule.CountNumber {
			beyond.improve(here)
		} else {
			stays = true
		}
	}
	if beyond.rank > 0 && (t.rule.TagsOnly || !stays) {
		return beyond, true
	}
	return best, false
}

// improve takes the better of two places, and of two that are equal the one whose group
// has the lower name.
func (p *place) improve(other place) {
	if p.rank == 0 || other.rank < p.rank || other.rank == p.rank && other.group < p.group {
		*p = other
	}
}

// tags are those that the rule takes from the image that it saw last.
func (t *turn) tags(i *Image) []registry.Tag {
	var tags []registry.Tag
	for _, tag := range i.Tags {
		if t.rule.grouping == nil {
			if t.rule.selects(tag) {
				tags = append(tags, tag)
			}
		} else if group, in := t.rule.groupOf(tag); in && t.seats[group].rank > t.rule.CountNumber {
			tags = append(tags, tag)
		}
	}
	return tags
}
