package auth

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"berth/auth/internal/recent"
	"berth/registry"
)

// busyRetry is when to come back if too many log in at the same moment.
const busyRetry = 2 * time.Second

// allowance is how many logins may fail, at once and in the long run.
type allowance struct {
	burst float64
	every time.Duration // one more after this long
}

// What failing logins are counted against.
//
// The first stops one machine that guesses one password, the second one machine
// that tries many accounts, and the third many machines that try one account. The
// third has a price: while such an attack lasts, the account's owner shares its
// allowance with the attackers. So it does not count where the account has logged
// in from that address before, nor for a credential that is still remembered or a
// robot's secret that is right, and it refills, so that nobody is shut out for good.
var (
	perPair    = allowance{burst: 10, every: 6 * time.Second}
	perAddress = allowance{burst: 60, every: time.Second}
	perAccount = allowance{burst: 100, every: 2 * time.Second}
)

// maxBuckets bounds each kind of counter. Someone who fills it with other names
// makes the oldest counters start anew, at a password hash for each name.
const maxBuckets = 8192

// ThrottledError belongs to registry.ErrTooManyRequests and says when to come back.
type ThrottledError struct {
	RetryAfter time.Duration

	err *registry.Error
}

func (e *ThrottledError) Error() string { return e.err.Error() }

// Unwrap is the error as clients see it.
func (e *ThrottledError) Unwrap() error { return e.err }

// pair is an account at an address.
type pair struct{ account, address string }

// bucket holds the failures still allowed, as of at.
type bucket struct {
	tokens float64
	at     time.Time
}

// throttle counts failing logins.
type throttle struct {
	mu        sync.Mutex
	pairs     *recent.Map[pair, bucket]
	addresses *recent.Map[pair, bucket]
	accounts  *recent.Map[pair, bucket]
	known     *recent.Map[pair, struct{}] // who has logged in from where
}

func newThrottle() *throttle {
	return &throttle{
		pairs:     recent.NewMap[pair, bucket](maxBuckets),
		addresses: recent.NewMap[pair, bucket](maxBuckets),
		accounts:  recent.NewMap[pair, bucket](maxBuckets),
		known:     recent.NewMap[pair, struct{}](maxBuckets),
	}
}

// counter is one of the counters a login is held against.
type counter struct {
	buckets *recent.Map[pair, bucket]
	key     pair
	allowance
}

func (t *throttle) counters(p pair) []counter {
	list := []counter{
		{t.pairs, p, perPair},
		{t.addresses, pair{address: p.address}, perAddress},
		{t.accounts, pair{account: p.account}, perAccount},
	}
	if _, ok := t.known.Get(p); ok {
		return list[:2]
	}
	return list
}

// begin counts a login as failed until succeed takes that back, or says how long to
// wait. Counting first leaves no gap for many guesses at the same moment.
func (t *throttle) begin(p pair, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	counters := t.counters(p)
	var wait time.Duration
	for _, c := range counters {
		if left := c.left(now); left < 1 {
			wait = max(wait, time.Duration((1-left)*float64(c.every)))
		}
	}
	if wait > 0 {
		return &ThrottledError{
			RetryAfter: wait,
			err:        registry.ErrTooManyRequests.With("too many failed logins; try again in %d seconds", int(math.Ceil(wait.Seconds()))),
		}
	}
	for _, c := range counters {
		c.buckets.Put(c.key, bucket{c.left(now) - 1, now})
	}
	return nil
}

// succeed takes back what begin counted. remember makes the address a known one.
func (t *throttle) succeed(p pair, now time.Time, remember bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.counters(p) {
		c.buckets.Put(c.key, bucket{min(c.left(now)+1, c.burst), now})
	}
	if remember {
		t.known.Put(p, struct{}{})
	}
}

// left is how many more failures c allows now.
func (c counter) left(now time.Time) float64 {
	b, ok := c.buckets.Get(c.key)
	if !ok {
		return c.burst
	}
	return min(c.burst, b.tokens+max(0, float64(now.Sub(b.at))/float64(c.every)))
}

// network is what of an address counts as one machine: IPv6 customers have a whole
// /64 to themselves. What is no address counts as it is.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return registry.Clip(address)
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, _ := ip.Prefix(64) // 64 bits are never too many for IPv6
	return prefix.String()
}
