package lifecycle

import (
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Decision is what is to become of an image, by which rule, and what made the rule take
// it: its rank or its age, or that it goes with another image.
type Decision struct {
	Image  *Image // one of those that were given
	Rule   int    // the priority of the rule
	Action Action
	Tags   []registry.Tag // only these expire, and the image stays, even without a tag; empty if it goes as a whole

	Rank    int           // among the images that the rule counts, the youngest is 1; zero where days are counted
	Group   string        // the images that the rank is among, where a rule counts by groups
	Age     time.Duration // by the clock of the rule, 292 years at the most; zero where images are counted
	Follows digest.Digest // the image with which it goes; empty if the rule took it for itself
}

// Decide holds a policy against all images of a repository as they are at one time; each
// digest comes once. taken are the images that are to go. blocked are those that a rule
// would take but for an index that lists them; they can go when the index has gone.
//
// All rules look at the same images, none at what the others leave. An image belongs to
// the first rule whose tags and storage class it meets, young or old: later rules cannot
// take it, and count it even so. Images that an index lists are counted too. Of two
// that are equally old, one that no index lists counts as the younger, or else the one with
// the lower digest. N days are over when more than N times 24 hours have passed.
//
// What refers to a subject that is there is for no rule to take or count: it goes with
// its subject. What an index lists is archived with the index. Neither goes as long as
// another index that stays lists it. In taken these follow after all that rules took,
// and each after the image it goes with.
//
// A rule that takes only tags leaves an image with the others that it has, or with none.
// Neither indexes nor subjects matter for tags, and nothing goes with them. If such an
// image is archived with its index, it is archived with all its tags.
//
// What the policy keeps whatever its rules say is counted, and belongs to rules, as if it
// were not kept, but there is no decision on it: on images that were pulled or that run,
// the indexes that list them, and the referrers and listed images of all these.
//
// The answer does not depend on the order of images, which stays as it is. The time it
// takes grows with the number of images, times that of rules and the items of their lists.
func Decide(p *Policy, images []Image, now time.Time) (taken, blocked []Decision) {
	c := newCensus(images)
	c.hold(p, now)
	return c.taken, c.blocked
}

// hold lets the policy take what it takes.
func (c *census) hold(p *Policy, now time.Time) {
	c.keep(p, now)
	turns := make([]turn, len(p.rules))
	for k := range p.rules {
		turns[k] = newTurn(&p.rules[k], now)
	}
	for _, n := range c.ordered {
		c.judge(n, turns)
	}
	picks := 0
	for _, t := range turns {
		picks += len(t.picks)
	}
	c.taken = make([]Decision, 0, picks)
	for _, t := range turns {
		for _, n := range t.picks {
			c.take(n, now)
		}
	}
	c.follow()
	goes := func(d Decision) bool { return c.gone[c.number[d.Image.Digest]] != "" }
	c.blocked = slices.DeleteFunc(c.blocked, goes)
	c.taken = slices.DeleteFunc(c.taken, func(d Decision) bool { return len(d.Tags) > 0 && goes(d) })
}

// take makes the decision that a rule wants, unless something keeps the image.
func (c *census) take(n int, now time.Time) {
	i, s := &c.images[n], c.standings[n]
	d := Decision{Image: i, Rule: s.rule.Priority, Action: s.rule.Action, Tags: s.tags, Rank: s.rank, Group: s.group}
	if s.rule.CountType != ImageCountMoreThan {
		d.Age = now.Sub(i.since(s.rule.CountType))
	}
	switch {
	case c.keeps(n):
	case len(d.Tags) > 0:
		c.taken = append(c.taken, d)
	case len(i.Indexes) > 0:
		c.blocked = append(c.blocked, d)
	default:
		c.gone[n] = d.Action
		c.taken = append(c.taken, d)
	}
}
