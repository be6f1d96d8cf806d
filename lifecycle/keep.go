package lifecycle

import "time"

// keep finds what the policy keeps, whatever its rules say: images that were pulled or
// that run, the indexes that list them, and what belongs to one of these. Which image
// keeps another stands in keepers, by its number and from 1; zero is none.
func (c *census) keep(p *Policy, now time.Time) {
	if p.KeepPulledDays == 0 && !p.KeepRunning {
		return
	}
	c.keepers = make([]int, len(c.images))
	limit := daysBefore(now, p.KeepPulledDays)
	var all []int
	add := func(n, keeper int) {
		if c.keepers[n] == 0 {
			c.keepers[n] = keeper
			all = append(all, n)
		}
	}
	for _, n := range c.ordered {
		i := &c.images[n]
		pulled := p.KeepPulledDays > 0 && !i.LastPulledAt.IsZero() && !i.LastPulledAt.Before(limit)
		if pulled || p.KeepRunning && len(i.RunningIn) > 0 {
			add(n, n+1)
		}
	}
	for k := 0; k < len(all); k++ { // it grows meanwhile
		for _, index := range c.images[all[k]].Indexes {
			if n, known := c.number[index]; known {
				add(n, c.keepers[all[k]])
			}
		}
	}
	for k := 0; k < len(all); k++ {
		for _, n := range c.followers(all[k]) {
			add(n, c.keepers[all[k]])
		}
	}
}

// keeps reports whether the policy keeps an image whatever its rules say.
func (c *census) keeps(n int) bool { return c.keepers != nil && c.keepers[n] > 0 }
