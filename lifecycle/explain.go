package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Verdict is what becomes of an image, and why.
type Verdict struct {
	Image    *Image // one of those that were given
	Outcome  Outcome
	Decision Decision // zero if the image is kept
	Rule     int      // the priority of the rule that takes it or that it belongs to; zero if there is none
	Reason   string   // for a person: a sentence without a capital and a full stop
}

// Outcome says whether there is a decision on an image, and whether it can be carried out.
type Outcome string

// An image has one of these.
const (
	Kept    Outcome = "kept"
	Taken   Outcome = "taken"   // as a whole, or tags of it
	Blocked Outcome = "blocked" // an index that lists it has to go first
)

// Explain is Decide with a reason for each image, whether it goes or stays: a verdict for
// each in the order in which they are given.
func Explain(p *Policy, images []Image, now time.Time) []Verdict {
	c := newCensus(images)
	c.hold(p, now)

	e := explanation{c, p, now}
	verdicts := make([]Verdict, len(images))
	for n := range images {
		verdicts[n] = Verdict{Image: &images[n], Outcome: Kept}
		if r := c.standings[n].rule; r != nil {
			verdicts[n].Rule = r.Priority
		}
	}
	for _, d := range c.taken {
		n := c.number[d.Image.Digest]
		verdicts[n] = Verdict{d.Image, Taken, d, d.Rule, e.taken(n, d)}
	}
	for _, d := range c.blocked {
		n := c.number[d.Image.Digest]
		verdicts[n] = Verdict{d.Image, Blocked, d, d.Rule, e.blocked(n)}
	}
	for n := range verdicts {
		if v := &verdicts[n]; v.Outcome == Kept {
			v.Reason = e.kept(n)
		}
	}
	return verdicts
}

// explanation finds the words for what has been decided.
type explanation struct {
	*census
	policy *Policy
	now    time.Time
}

func (e explanation) taken(n int, d Decision) string {
	switch {
	case d.Follows == "":
		return fmt.Sprintf("%s: %s", e.standings[n].does(), e.measure(n))
	case d.Follows == d.Image.Subject:
		return fmt.Sprintf("%s with its subject %s, by rule %d", passive(d.Action), d.Follows, d.Rule)
	}
	return fmt.Sprintf("%s with the index %s, by rule %d", passive(d.Action), d.Follows, d.Rule)
}

func (e explanation) blocked(n int) string {
	return fmt.Sprintf("blocked by %s: %s once it is in no index; %s", e.index(n), e.standings[n].does(), e.measure(n))
}

func (e explanation) kept(n int) string {
	i, s := &e.images[n], e.standings[n]
	subject, referrer := e.number[i.Subject]
	switch {
	case e.keeps(n) && s.goes:
		return fmt.Sprintf("%s; %s otherwise", e.spared(n), s.does())
	case e.keeps(n):
		return e.spared(n)
	case s.rule != nil:
		return fmt.Sprintf("rule %d keeps it: %s", s.rule.Priority, e.measure(n))
	case referrer && e.gone[subject] == "":
		return fmt.Sprintf("stays with its subject %s", i.Subject)
	case i.Class == "":
		return "is just being restored"
	case referrer && i.Class == registry.Archive && e.gone[subject] == Transition:
		return fmt.Sprintf("is in the archive already, where its subject %s goes", i.Subject)
	case referrer:
		return fmt.Sprintf("blocked by %s: its subject %s goes", e.index(n), i.Subject)
	case i.Class == registry.Standard:
		return "no rule is about it"
	case slices.ContainsFunc(e.policy.rules, func(r Rule) bool { return r.Class == i.Class }):
		return "is in the archive, and no rule about the archive is about it"
	}
	return "is in the archive, and no rule is about the archive"
}

// spared says why an image is kept whatever rules say.
func (e explanation) spared(n int) string {
	keeper := e.keepers[n] - 1
	i := &e.images[keeper]
	why := "was pulled " + ago(e.now.Sub(i.LastPulledAt))
	if e.policy.KeepRunning && len(i.RunningIn) > 0 {
		why = "runs in " + registry.Clip(strings.Join(i.RunningIn, ", "))
	}
	if keeper != n {
		return fmt.Sprintf("stays with %s, which %s", i.Digest, why)
	}
	return "stays since it " + why
}

// index names an index that lists an image, one that stays if there is such a one.
func (e explanation) index(n int) string {
	indexes := e.images[n].Indexes
	stays := slices.IndexFunc(indexes, func(d digest.Digest) bool {
		at, known := e.number[d]
		return !known || e.gone[at] == ""
	})
	return fmt.Sprintf("index %s", indexes[max(stays, 0)])
}

// measure says what the rule has counted, and how far it lets it go.
func (e explanation) measure(n int) string {
	s := e.standings[n]
	if s.rule.CountType != ImageCountMoreThan {
		return fmt.Sprintf("it was %s, and the limit is %s", e.images[n].past(s.rule.CountType, e.now), plural(s.rule.CountNumber, "day"))
	}
	among := "counted"
	if s.rule.grouping != nil {
		among = fmt.Sprintf("in the group %q", registry.Clip(s.group))
	}
	return fmt.Sprintf("it is the %s %s, and %d may stay", youngest(s.rank), among, s.rule.CountNumber)
}

// does says what the rule does to an image that it takes.
func (s standing) does() string {
	switch {
	case s.rule.Action == Transition:
		return fmt.Sprintf("rule %d archives it", s.rule.Priority)
	case len(s.tags) > 0:
		tags := make([]string, len(s.tags))
		for n, t := range s.tags {
			tags[n] = string(t)
		}
		return fmt.Sprintf("rule %d takes %s from it, %s", s.rule.Priority, plural(len(tags), "tag"), registry.Clip(strings.Join(tags, ", ")))
	}
	return fmt.Sprintf("rule %d expires it", s.rule.Priority)
}

func passive(a Action) string {
	if a == Transition {
		return "is archived"
	}
	return "expires"
}

// past says what happened to an image when its days began to be counted.
func (i *Image) past(t CountType, now time.Time) string {
	at, what := i.clock(t)
	when := ago(now.Sub(at))
	if at.IsZero() {
		when = "nobody knows when"
	}
	switch {
	case what == archival:
		return "archived " + when
	case what == pull:
		return "pulled " + when
	case what == restore && t == SinceImagePulled:
		return "restored " + when + " and not pulled since"
	case what == restore:
		return "restored " + when
	case t == SinceImagePulled:
		return "pushed " + when + " and never pulled"
	}
	return "pushed " + when
}

func ago(d time.Duration) string {
	if d < 0 {
		return "in the future"
	}
	return span(d) + " ago"
}

// span is a duration in days and hours.
func span(d time.Duration) string {
	hours := int(d / time.Hour)
	days, hours := hours/24, hours%24
	switch {
	case days == 0:
		return plural(hours, "hour")
	case hours == 0:
		return plural(days, "day")
	}
	return plural(days, "day") + " " + plural(hours, "hour")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// youngest is a rank in words: youngest, 2nd youngest, 3rd youngest.
func youngest(rank int) string {
	suffix := "th"
	if rank/10%10 != 1 {
		switch rank % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	if rank == 1 {
		return "youngest"
	}
	return fmt.Sprintf("%d%s youngest", rank, suffix)
}
