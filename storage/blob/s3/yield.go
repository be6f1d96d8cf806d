package s3

import (
	"cmp"
	"slices"
	"time"

	"berth/storage/blob"
)

// A writer whose client sends little at a time holds memory for long. That does no harm
// until somebody has to wait for it. Then the slow ones are asked to yield: their
// bytes move into the state, which is kept elsewhere, and they queue for memory in
// order to go on. They stand back as long as others wait, but not for ever.
//
// Who is slow is measured while it does not wait itself. That the whole server or S3
// is slow makes nobody yield.

// These are multiples of the patience of the pool, which is a second.
const (
	slowAfter    = 4  // who needs longer than this for the rest of its part is slow
	safeFor      = 3  // how long who was granted something is not asked
	calmAfter    = 2  // who has yielded goes on when nobody has waited for this long
	backAfter    = 10 // or after this in any case
	forgetYields = 100
)

// backShare is which part of the memory those may hold who have yielded and went on
// although others wait.
const backShare = 4

// slow reports whether c should make room if others need it.
func (c *claim) slow(now time.Time) bool {
	active := c.active(now)
	if c.held+c.credit == 0 || c.asked || now.Before(c.safe) || active < c.pool.patience {
		return false
	}
	rest := float64(c.part-c.held) / c.rate(now)
	return rest > slowAfter*c.pool.patience.Seconds()
}

// active is how long the part has been filling, without the time it had to wait.
func (c *claim) active(now time.Time) time.Duration {
	if c.ready != nil {
		now = c.since
	}
	return now.Sub(c.began) - c.waited
}

// rate is in bytes a second.
func (c *claim) rate(now time.Time) float64 {
	return float64(c.held-c.initial) / c.active(now).Seconds()
}

// ask asks slow writers to yield if somebody has waited too long.
func (p *pool) ask(now time.Time) {
	need, fast := p.overdue(now)
	if need == 0 {
		return
	}
	var slow []*claim
	for c := range p.filling {
		switch {
		case c.asked:
			need -= c.held + c.credit // which is about to come
		case c.slow(now):
			slow = append(slow, c)
		}
	}
	// Who waits before the one that is overdue would get what others give.
	for _, c := range slices.Clone(p.holders) {
		if fast && c.slow(now) {
			c.yield()
			need -= c.held
		}
	}
	slices.SortFunc(slow, func(a, b *claim) int {
		return cmp.Compare(a.rate(now), b.rate(now))
	})
	for _, c := range slow {
		if need <= p.free {
			return
		}
		if !c.asked && c.ready == nil {
			c.yield()
			need -= c.held + c.credit
		}
	}
}

// overdue is how many bytes are missing to those that have waited too long and are not
// slow themselves, or to the first of the slow ones if there are no others.
func (p *pool) overdue(now time.Time) (need int64, fast bool) {
	var first int64
	for _, c := range slices.Concat(p.holders, p.others) {
		switch {
		case now.Sub(c.since) < p.patience:
		case !c.slow(now):
			need += c.part - c.held
		case first == 0:
			first = c.part - c.held
		}
	}
	if need > 0 {
		return need, true
	}
	return first, false
}

// yield asks c; if it waits, it is told now.
func (c *claim) yield() {
	c.asked = true
	if c.pool.leave(c) {
		c.wake(blob.ErrYield)
	}
}

// mustYield reports whether c was asked.
func (c *claim) mustYield() bool {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.asked
}

// note remembers that the writer of key has made room.
func (p *pool) note(key blob.Key) {
	now := time.Now()
	for other, at := range p.gaveRoom {
		if now.Sub(at) > forgetYields*p.patience {
			delete(p.gaveRoom, other)
		}
	}
	p.gaveRoom[key] = now
}

// mustWait reports whether c has made room and stands back now.
func (c *claim) mustWait() bool {
	_, made := c.pool.gaveRoom[c.key]
	return made && c.held == 0
}

// serveYielded lets those that have made room go on, but not so that others have to
// wait for them again at once.
func (p *pool) serveYielded() {
	calm := time.Since(p.pressure) >= calmAfter*p.patience
	for calm && len(p.yielded) > 0 {
		c := p.yielded[0]
		if p.free-c.need < p.reserve(c) {
			return
		}
		p.yielded = p.yielded[1:]
		delete(p.gaveRoom, c.key)
		p.grant(c.need)
		c.served()
	}
}

// takeBack puts those that have stood back for long among the others, but only so many
// that there is memory for who is faster.
func (p *pool) takeBack() {
	for len(p.yielded) > 0 {
		c := p.yielded[0]
		if time.Since(c.since) < backAfter*p.patience || p.back > 0 && p.back+c.part > p.limit/backShare {
			return
		}
		p.yielded = p.yielded[1:]
		delete(p.gaveRoom, c.key)
		p.others = append(p.others, c)
		c.back = c.part
		p.back += c.back
	}
}

// tick looks after those that wait, from time to time until nobody does.
func (p *pool) tick() {
	if p.ticking || len(p.holders)+len(p.others)+len(p.yielded) == 0 {
		return
	}
	p.ticking = true
	time.AfterFunc(p.patience/4, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ticking = false
		p.serve()
		p.callSpare()
		p.ask(time.Now())
		p.tick()
	})
}
