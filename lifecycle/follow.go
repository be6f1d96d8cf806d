package lifecycle

import (
	"berth/registry"
)

// follow takes what goes with the images that have been taken.
func (c *census) follow() {
	if len(c.taken) == 0 {
		return
	}
	// What expires comes first: it may be an index that kept something from being archived.
	for _, action := range []Action{Expire, Transition} {
		for k := 0; k < len(c.taken); k++ { // it grows meanwhile
			if leader := c.taken[k]; leader.Action == action && len(leader.Tags) == 0 {
				c.join(c.followers(c.number[leader.Image.Digest]), Decision{Rule: leader.Rule, Action: action, Follows: leader.Image.Digest})
			}
		}
	}
}

// join takes those of the images that nothing keeps, by the decision d.
func (c *census) join(followers []int, d Decision) {
	for _, n := range followers {
		i := &c.images[n]
		if c.gone[n] != "" || c.keeps(n) || d.Action == Transition && i.Class != registry.Standard || c.held(i, d.Action) {
			continue
		}
		c.gone[n] = d.Action
		d.Image = i
		c.taken = append(c.taken, d)
	}
}

// held reports whether an index keeps an image. One that lists it, whatever becomes of
// the index, keeps it from being deleted: its turn comes when the index has gone, since
// it may be of use for itself. One that can be pulled keeps it from being archived. An
// index that is not among the images has come since, and stays.
func (c *census) held(i *Image, a Action) bool {
	for _, index := range i.Indexes {
		n, known := c.number[index]
		if a == Expire || !known || c.gone[n] == "" && c.images[n].Class != registry.Archive {
			return true
		}
	}
	return false
}
