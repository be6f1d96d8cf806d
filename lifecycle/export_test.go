package lifecycle

import "berth/registry"

// Exceeded is what a limit says of decisions to delete so many images, of as many that an
// index keeps for now, and of as many tags of images that stay.
func Exceeded(l Limit, p *Policy, images, taken, blocked, tagged int) string {
	list := func(n int, d Decision) (all []Decision) {
		for range n {
			all = append(all, d)
		}
		return all
	}
	gone := list(taken, Decision{Action: Expire})
	gone = append(gone, list(tagged, Decision{Action: Expire, Tags: []registry.Tag{"t"}})...)
	gone = append(gone, list(images, Decision{Action: Transition})...) // which deletes nothing
	return l.exceeded(p, images, gone, list(blocked, Decision{Action: Expire}))
}
