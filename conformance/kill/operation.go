package main

import (
	"fmt"
	"strings"
	"time"
)

// outcome is what is known of whether an operation was done.
type outcome int

const (
	underway     outcome = iota
	acknowledged         // the registry said so
	refused              // the registry said no, or it has turned out not to be done
	doubtful             // the process died before it said anything
)

// operation is a request and what became of it.
type operation struct {
	id         int
	client     int
	kind       string // as the summary counts it, such as "PUT manifest"
	what       string // for people: method and path
	start, end moment
	began      time.Time
	outcome    outcome
	status     int
	effects    []change
}

// change is what an operation does to a cell, or learns from it.
type change struct {
	cell   *cell
	effect effect
	value  value
}

func (op *operation) String() string {
	if op == birth {
		return op.what
	}
	what := [...]string{"under way", "cut off but done", "cut off and not done", "cut off"}[op.outcome]
	if op.status != 0 {
		what = fmt.Sprint("answered ", op.status)
	}
	return fmt.Sprintf("[%d, %d] client %d #%d %s (%s), %s", op.start, op.end, op.client, op.id, op.what, op.kind, what)
}

// asDoubtful is the operation with nothing certain about it.
func (op *operation) asDoubtful() *operation {
	again := *op
	again.outcome = doubtful
	return &again
}

// verdict is what an answer means: what became of the operation, and what must have been so for the registry to give
// that answer.
type verdict struct {
	outcome outcome
	claims  []claim
	saw     []change // what the answer shows; each is a claim too
	fault   string   // the answer is wrong whatever was so
}

// done is the verdict on an operation that was done.
func done(claims ...claim) verdict { return verdict{outcome: acknowledged, claims: claims} }

// no is the verdict on an operation that was refused.
func no(claims ...claim) verdict { return verdict{outcome: refused, claims: claims} }

// wrong is the verdict on an answer that must not be.
func wrong(format string, args ...any) verdict {
	return verdict{outcome: doubtful, fault: fmt.Sprintf(format, args...)}
}

// unexpected is the verdict on a status that the request cannot have.
func unexpected(r response) verdict {
	body := r.text()
	if len(body) > 300 {
		body = body[:300] + "…"
	}
	return wrong("unexpected answer %d %s", r.status, body)
}

// showing adds that the answer shows v in c.
func (v verdict) showing(c *cell, held value) verdict {
	v.saw = append(v.saw, change{c, saw, held})
	return v
}

// claim is something that must have been possible at some moment of an operation.
type claim struct {
	says  string
	cells []*cell
	holds func(from, to moment) bool
}

// isThere claims that c was not absent.
func isThere(c *cell) claim {
	return claim{c.String() + " is there", []*cell{c}, c.couldSome}
}

// isGone claims that c was absent.
func isGone(c *cell) claim {
	return claim{c.String() + " is not there", []*cell{c}, func(from, to moment) bool { return c.could(absent, from, to) }}
}

// areThere claims that none of the cells was absent, and areGone that all of them were.
func areThere(cells []*cell) claim { return all(cells, isThere) }
func areGone(cells []*cell) claim  { return all(cells, isGone) }

// oneIsThere claims that one of the cells was not absent, and oneIsGone that one of them was.
func oneIsThere(cells []*cell) claim { return either(each(cells, isThere)...) }
func oneIsGone(cells []*cell) claim  { return either(each(cells, isGone)...) }

func each(cells []*cell, of func(*cell) claim) []claim {
	claims := make([]claim, len(cells))
	for i, c := range cells {
		claims[i] = of(c)
	}
	return claims
}

func all(cells []*cell, of func(*cell) claim) claim {
	claims := each(cells, of)
	return claim{join(claims, " and "), cells, func(from, to moment) bool {
		for _, c := range claims {
			if !c.holds(from, to) {
				return false
			}
		}
		return true
	}}
}

// either claims that at least one of the claims holds.
func either(claims ...claim) claim {
	var cells []*cell
	for _, c := range claims {
		cells = append(cells, c.cells...)
	}
	return claim{join(claims, " or "), cells, func(from, to moment) bool {
		for _, c := range claims {
			if c.holds(from, to) {
				return true
			}
		}
		return false
	}}
}

func join(claims []claim, word string) string {
	if len(claims) == 0 {
		return "(nothing to look for)"
	}
	parts := make([]string, len(claims))
	for i, c := range claims {
		parts[i] = c.says
	}
	return "(" + strings.Join(parts, word) + ")"
}
