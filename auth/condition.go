package auth

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// condition compares what a request has under one key with values of the policy.
type condition struct {
	operator
	key contextKey

	// Of these, one is what the operator compares with.
	texts     []pattern
	arns      []arnPattern
	addresses []netip.Prefix
	times     []time.Time
	numbers   []float64
	null      [2]bool // the answers that Null takes: false, true
}

// arnPattern is the pattern of an ARN, of which each part is compared by itself.
type arnPattern [6]pattern

// meets reports whether the request meets the condition. Without the key it meets
// those that are negated, as in IAM, and those of IfExists.
func (c *condition) meets(r *Request) bool {
	there := r.has(c.key)
	switch {
	case c.compare == compareNull:
		if there {
			return c.null[0]
		}
		return c.null[1]
	case !there && c.over == forAny:
		return false // IfExists, too, is asked of each value, of which there is none
	case !there && c.ifExists:
		return true
	case !c.resolvable(r):
		return false
	case !there:
		return c.over == forAll || c.negated
	case c.over == single:
		return c.one(r)
	}
	return c.several(r)
}

// resolvable reports whether all variables have values.
func (c *condition) resolvable(r *Request) bool {
	return c.all(func(p *pattern) bool { return p.resolvable(r) })
}

// all reports whether all patterns of the condition do.
func (c *condition) all(do func(*pattern) bool) bool {
	for i := range c.texts {
		if !do(&c.texts[i]) {
			return false
		}
	}
	for i := range c.arns {
		for j := range c.arns[i] {
			if !do(&c.arns[i][j]) {
				return false
			}
		}
	}
	return true
}

// one compares the only value that the request has under the key. Where that is an
// address or a time it need not be written out first. A claim, of which nobody knows
// before whether it has one value, does if one of them does.
func (c *condition) one(r *Request) bool {
	switch {
	case c.key.kind == otherKey:
		return slices.ContainsFunc(r.Context.Claims[c.key.tag], func(v string) bool { return c.has(r, v) }) != c.negated
	case c.compare == compareAddress && c.key.kind == sourceIPKey:
		return c.hasAddress(r.Context.SourceIP) != c.negated
	case c.compare == compareTime && (c.key.kind == currentTimeKey || c.key.kind == epochTimeKey):
		return c.hasTime(r.Context.Time.Truncate(time.Second)) != c.negated
	}
	v, _ := r.value(c.key)
	return c.takes(r, v)
}

// several compares each of the values of the request. One that is empty is none.
func (c *condition) several(r *Request) bool {
	enough := c.over == forAny // what one value that does, or one that does not, decides
	if c.key.kind == otherKey {
		return slices.ContainsFunc(r.Context.Claims[c.key.tag], func(v string) bool { return c.takes(r, v) == enough }) == enough
	}
	if !c.key.many() {
		v, _ := r.value(c.key)
		if v == "" {
			return !enough
		}
		return c.one(r)
	}
	for v := range r.Context.Tags {
		if c.takes(r, v) == enough {
			return enough
		}
	}
	for _, v := range r.Context.Untagged {
		if c.takes(r, v) == enough {
			return enough
		}
	}
	return !enough
}

// takes reports whether a value is one the condition asks for.
func (c *condition) takes(r *Request, v string) bool { return c.has(r, v) != c.negated }

// has reports whether one of the values of the policy fits v.
func (c *condition) has(r *Request, v string) bool {
	switch c.compare {
	case compareAddress:
		a, err := netip.ParseAddr(v)
		return err == nil && c.hasAddress(a)
	case compareTime:
		t, ok := parseTime(v)
		return ok && c.hasTime(t)
	case compareNumber:
		n, ok := parseNumber(v)
		return ok && c.hasNumber(n)
	case compareARN:
		for i := range c.arns {
			if c.arns[i].match(r, v) {
				return true
			}
		}
		return false
	}
	for i := range c.texts {
		if c.compare == compareFold || c.compare == compareBool {
			if strings.EqualFold(c.texts[i].text(r), v) {
				return true
			}
		} else if c.texts[i].match(r, v) {
			return true
		}
	}
	return false
}

func (c *condition) hasAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range c.addresses {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (c *condition) hasTime(t time.Time) bool {
	for _, u := range c.times {
		if c.relation.holds(t.Compare(u)) {
			return true
		}
	}
	return false
}

func (c *condition) hasNumber(n float64) bool {
	for _, m := range c.numbers {
		if c.relation.holds(cmp.Compare(n, m)) {
			return true
		}
	}
	return false
}

// match reports whether s is an ARN whose parts the pattern describes.
func (a *arnPattern) match(r *Request, s string) bool {
	for i := range a {
		part, rest, found := strings.Cut(s, ":")
		if i == len(a)-1 {
			part, found = s, true
		}
		if !found || !a[i].match(r, part) {
			return false
		}
		s = rest
	}
	return true
}
