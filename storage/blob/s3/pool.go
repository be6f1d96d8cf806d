package s3

import (
	"context"
	"slices"
	"sync"
	"time"

	"berth/storage/blob"
)

// pool is the memory that all writers of a store share. It is counted here and lies in
// pieces: the parts that are being filled, and those on their way to S3.
//
// Memory is taken piece by piece as bytes arrive, so that a slow client holds what it
// has sent and no more, and it comes back when the request that sent a part has
// ended, however it did. Thus a writer needs nobody but itself to go on, except for
// the memory that is still missing to its part. Two rules see to it that somebody
// always gets that:
//
//   - A piece is granted at once only if reserve() stays free after it, which is the
//     largest part that is being filled.
//   - Who has to wait is granted, when its turn comes, all that is missing to its part
//     as credit, and does not wait again before the next. Those who hold a part of a
//     part come first.
//
// Suppose that writers wait and nothing moves any more: all requests have ended, and
// who had credit has filled its part and sent it. What is held then was all granted
// at once, and when the last piece of it was, reserve() stayed free. It is free
// still, as nothing was granted since that has not come back. So the first who waits
// and holds something finds enough to fill its part; once none of those is left,
// nobody holds anything, and the first of the others finds all there is. What is
// left out are clients who neither send nor end; see yield.go for those. A part that is
// held back (see backlog.go) is sent as soon as somebody waits.
type pool struct {
	limit    int64
	patience time.Duration // how long somebody waits before others are asked to yield

	mu       sync.Mutex
	free     int64
	filling  map[*claim]struct{}    // those that hold something
	sizes    map[int64]int          // how many of them fill a part of this size
	holders  []*claim               // who waits and holds something
	others   []*claim               // who waits and holds nothing
	yielded  []*claim               // who has made room and waits to go on
	gaveRoom map[blob.Key]time.Time // the writers that did so, and when
	spare    map[*upload]struct{}   // those that hold a part back
	back     int64                  // what may be held by those who have yielded and went on nevertheless
	pressure time.Time              // when somebody last had to wait
	ticking  bool
	least    int64 // of free, ever; for tests
}

// claim is what one writer has of a pool.
type claim struct {
	pool *pool
	key  blob.Key

	// These are under the lock of the pool.
	part   int64 // the size of the part that is being filled
	held   int64 // what the part has already
	credit int64 // what was granted besides
	asked  bool  // to yield
	back   int64 // its share of pool.back

	// How fast it is.
	began   time.Time
	initial int64         // what was held at the beginning
	waited  time.Duration // since then
	safe    time.Time     // until then it is not asked to yield

	// While it waits.
	ready chan error // nil if it does not wait
	since time.Time
	need  int64
}

func newPool(limit int64, patience time.Duration) *pool {
	return &pool{
		limit: limit, free: limit, least: limit, patience: patience,
		filling:  make(map[*claim]struct{}),
		sizes:    make(map[int64]int),
		gaveRoom: make(map[blob.Key]time.Time),
		spare:    make(map[*upload]struct{}),
	}
}

// reserve is what has to stay free for c and all others to be able to fill their parts.
func (p *pool) reserve(c *claim) int64 {
	r := c.part
	for size := range p.sizes {
		r = max(r, size)
	}
	return r
}

// ample reports whether there is memory that nobody is likely to want soon.
func (p *pool) ample() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free > p.limit/2 && len(p.holders)+len(p.others)+len(p.yielded) == 0
}

// canFree notes that u holds memory which it can do without, and cannotFree that it
// does not any more.
func (p *pool) canFree(u *upload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare[u] = struct{}{}
}

func (p *pool) cannotFree(u *upload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.spare, u)
}

// callSpare asks for all memory that somebody can do without.
func (p *pool) callSpare() {
	for u := range p.spare {
		delete(p.spare, u)
		u.makeRoom()
	}
}

// used is the share of the memory that is not free, from 0 to 1.
func (p *pool) used() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return 1 - float64(p.free)/float64(p.limit)
}

// begin says that the next piece goes to a new part.
func (c *claim) begin(part int64) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.part = part
}

// take takes n bytes more for the part, at least a piece. Errors: blob.ErrYield, and that
// of ctx.
func (c *claim) take(ctx context.Context, n int64) error {
	p := c.pool
	p.mu.Lock()
	switch {
	case c.asked:
		p.mu.Unlock()
		return blob.ErrYield
	case c.credit >= n:
		c.credit -= n
		c.hold(n)
		p.mu.Unlock()
		return nil
	case len(p.holders)+len(p.others) == 0 && !c.mustWait() && p.free-n >= p.reserve(c):
		p.grant(n)
		c.hold(n)
		p.mu.Unlock()
		return nil
	}
	ready := p.queue(c, n)
	p.mu.Unlock()

	select {
	case err := <-ready:
		return err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.leave(c) {
			c.ready = nil
			return ctx.Err()
		}
		return <-ready // it came at the same moment; drop gives it back
	}
}

// hold counts n granted bytes as used.
func (c *claim) hold(n int64) {
	if c.held == 0 {
		c.began, c.waited, c.initial = time.Now(), 0, n
		c.pool.filling[c] = struct{}{}
		c.pool.sizes[c.part]++
	}
	c.held += n
}

// grant takes n bytes from what is free.
func (p *pool) grant(n int64) {
	p.free -= n
	p.least = min(p.least, p.free)
}

// pass hands the part to a request, for which it returns how much to give back with
// pool.put. What is left of the credit is given back now.
func (c *claim) pass() (held int64) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	held = c.held
	c.end()
	return held
}

// drop gives everything back.
func (c *claim) drop() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if c.asked {
		c.pool.note(c.key)
	}
	c.pool.free += c.held
	c.end()
}

func (c *claim) end() {
	p := c.pool
	p.free += c.credit
	if c.held > 0 {
		delete(p.filling, c)
		if p.sizes[c.part]--; p.sizes[c.part] == 0 {
			delete(p.sizes, c.part)
		}
	}
	p.back -= c.back
	c.held, c.credit, c.asked, c.back = 0, 0, false, 0
	p.serve()
}

// put gives back what pass has returned.
func (p *pool) put(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += n
	p.serve()
}

// queue makes c wait until it is served.
func (p *pool) queue(c *claim, n int64) <-chan error {
	now := time.Now()
	c.since, c.need, c.ready = now, n, make(chan error, 1)
	ready := c.ready
	switch {
	case c.held > 0:
		p.holders = append(p.holders, c)
	case c.mustWait():
		p.yielded = append(p.yielded, c)
	default:
		p.others = append(p.others, c)
	}
	p.serve()
	p.callSpare()
	p.tick()
	return ready
}

// leave takes c out of the queues and reports whether it was in one.
func (p *pool) leave(c *claim) bool {
	for _, queue := range []*[]*claim{&p.holders, &p.others, &p.yielded} {
		if i := slices.Index(*queue, c); i >= 0 {
			*queue = slices.Delete(*queue, i, i+1)
			p.serve() // it may have been the first, and too large
			return true
		}
	}
	return false
}

// serve grants credit to who waits, as far as it goes.
func (p *pool) serve() {
	p.takeBack()
	for _, queue := range []*[]*claim{&p.holders, &p.others} {
		for len(*queue) > 0 {
			c := (*queue)[0]
			rest := c.part - c.held
			if rest > p.free {
				p.pressure = time.Now()
				return // the first comes first
			}
			*queue = (*queue)[1:]
			p.grant(rest)
			c.credit += rest - c.need
			c.served()
		}
	}
	p.serveYielded()
}

// served lets c go on.
func (c *claim) served() {
	now := time.Now()
	c.waited += now.Sub(c.since)
	c.safe = now.Add(safeFor * c.pool.patience)
	c.hold(c.need)
	c.wake(nil)
}

func (c *claim) wake(err error) {
	c.ready <- err // which has room for it
	c.ready = nil
}
