package lifecycle

import (
	"slices"

	"github.com/opencontainers/go-digest"
)

// plan makes steps of what is to go, in the order in which they are taken: what expires first,
// since an index that has gone keeps nothing from being archived. What goes with several
// images is in the last of their steps. The steps have images of their own, so that those of
// a large repository need not be kept while a few of them go.
func plan(images []Image, taken []Decision) []Step {
	var steps []Step
	at := make(map[digest.Digest]int, len(taken)) // the step of an image
	for _, action := range []Action{Expire, Transition} {
		for _, d := range taken {
			if d.Action == action && d.Follows == "" {
				at[d.Image.Digest] = len(steps)
				steps = append(steps, Step{Decisions: []Decision{d.alone()}})
			}
		}
	}
	for _, d := range taken { // those that follow come after what they follow
		if d.Follows == "" {
			continue
		}
		n := at[d.Follows]
		for _, index := range d.Image.Indexes {
			if m, gone := at[index]; gone {
				n = max(n, m)
			}
		}
		at[d.Image.Digest] = n
		steps[n].Decisions = append(steps[n].Decisions, d.alone())
	}
	for i := range images {
		image := &images[i]
		n, gone := at[image.Subject]
		if m, goes := at[image.Digest]; gone && (!goes || m != n) {
			steps[n].Known = append(steps[n].Known, image.Digest)
		}
	}
	return steps
}

// alone is d with an image of its own.
func (d Decision) alone() Decision {
	image := *d.Image
	d.Image = &image
	return d
}

// unblocked reports whether an index that kept something is among what goes.
func unblocked(taken, blocked []Decision) bool {
	if len(blocked) == 0 {
		return false
	}
	gone := make(map[digest.Digest]bool, len(taken))
	for _, d := range taken {
		gone[d.Image.Digest] = d.Action == Expire && len(d.Tags) == 0
	}
	return slices.ContainsFunc(blocked, func(d Decision) bool {
		return slices.ContainsFunc(d.Image.Indexes, func(index digest.Digest) bool { return gone[index] })
	})
}
