package lifecycle

import (
	"cmp"
	"slices"

	"github.com/opencontainers/go-digest"
)

// census is the images of a repository while a policy is held against them. They go by
// number, which is their position in images.
type census struct {
	images  []Image
	number  map[digest.Digest]int
	ordered []int // youngest first

	following []int // the followers of all images, see there
	starts    []int // where those of an image begin, and after the last image their number

	keepers   []int // see keep; nil if nothing is kept in that way
	standings []standing
	gone      []Action // what is to become of all of it; empty if it stays

	taken, blocked []Decision
}

func newCensus(images []Image) *census {
	c := &census{
		images:    images,
		number:    make(map[digest.Digest]int, len(images)),
		ordered:   make([]int, len(images)),
		standings: make([]standing, len(images)),
		gone:      make([]Action, len(images)),
	}
	type age struct {
		seconds             int64
		nanoseconds, number int
	}
	ages := make([]age, len(images))
	for n := range images {
		c.number[images[n].Digest] = n
		since := images[n].since(SinceImagePushed)
		ages[n] = age{since.Unix(), since.Nanosecond(), n}
	}
	slices.SortFunc(ages, func(a, b age) int {
		if order := cmp.Compare(b.seconds, a.seconds); order != 0 {
			return order
		}
		if order := cmp.Compare(b.nanoseconds, a.nanoseconds); order != 0 {
			return order
		}
		// What was restored together is equally old: an index then comes before what it lists.
		x, y := &images[a.number], &images[b.number]
		if order := cmp.Compare(min(len(x.Indexes), 1), min(len(y.Indexes), 1)); order != 0 {
			return order
		}
		return cmp.Compare(x.Digest, y.Digest)
	})
	for k, a := range ages {
		c.ordered[k] = a.number
	}
	return c
}

// followers are the referrers of an image and what it lists as an index, the youngest
// first.
func (c *census) followers(n int) []int {
	if c.starts == nil {
		c.link()
	}
	return c.following[c.starts[n]:c.starts[n+1]]
}

func (c *census) link() {
	type edge struct{ leader, follower int }
	var edges []edge
	c.starts = make([]int, len(c.images)+1)
	follow := func(n int, d digest.Digest) {
		if leader, known := c.number[d]; known {
			edges = append(edges, edge{leader, n})
			c.starts[leader+1]++
		}
	}
	for _, n := range c.ordered {
		i := &c.images[n]
		if i.Subject != "" {
			follow(n, i.Subject)
		}
		for _, index := range i.Indexes {
			follow(n, index)
		}
	}
	for n := range c.images {
		c.starts[n+1] += c.starts[n]
	}
	c.following = make([]int, len(edges))
	free := slices.Clone(c.starts)
	for _, e := range edges {
		c.following[free[e.leader]] = e.follower
		free[e.leader]++
	}
}
