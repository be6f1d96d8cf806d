package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// moment is a tick of the model's clock. Every operation takes one before its request leaves and one after its answer
// is there, so what one operation has ended before another began is a comparison of two numbers.
type moment int64

const (
	genesis moment = 0
	never   moment = math.MaxInt64 // the end of an operation under way
)

// value is what a cell holds. A blob or manifest is present or absent; a tag holds the digest of its manifest.
type value string

const (
	absent  value = ""
	present value = "present"
)

// effect is what an operation does to a cell, or learns from it.
type effect int

const (
	set     effect = iota // the cell holds the value from then on
	unset                 // the cell becomes absent if it holds the value: the tags of a manifest that is deleted
	saw                   // the cell was seen to hold the value
	sawSome               // the cell was seen not to be absent
)

// event is an effect of an operation on one cell.
type event struct {
	op     *operation
	effect effect
	value  value
}

// replaces reports whether after the event the cell cannot hold v from an earlier event.
func (e event) replaces(v value) bool {
	switch e.effect {
	case set:
		return true
	case unset:
		return v == e.value
	case saw:
		return v != e.value
	default:
		return v == absent
	}
}

func (e event) String() string {
	names := map[effect]string{set: "set", unset: "cleared if", saw: "seen as", sawSome: "seen to be there"}
	v := e.value
	if v == absent && e.effect != sawSome {
		v = "absent"
	}
	return fmt.Sprintf("%s: %s", e.op, strings.TrimSpace(names[e.effect]+" "+string(v)))
}

// cell is one fact about the registry: whether a blob or manifest is in a repository, where a tag points, whether a
// repository exists. Its operations may overlap and may be cut off, so what is known is not a value but the set of
// values that it could hold.
type cell struct {
	kind cellKind
	repo *repository
	name string // the digest or tag

	events []event // those that still matter
	recent []event // the last ones, for a report
	seen   value   // what the last look at it showed
	at     moment  // when that was; genesis if nobody has looked

	kept time.Time // of a blob: when the last request began that has certainly made it new
}

// cellKind says what a cell is about.
type cellKind int

const (
	blobCell cellKind = iota
	manifestCell
	tagCell
	repositoryCell
)

// birth is the operation that made everything absent.
var birth = &operation{what: "the empty registry", outcome: acknowledged}

func newCell(kind cellKind, repo *repository, name string) *cell {
	return &cell{kind: kind, repo: repo, name: name, events: []event{{op: birth, effect: set, value: absent}}}
}

func (c *cell) String() string {
	return [...]string{"blob ", "manifest ", "tag ", "repository "}[c.kind] + c.repo.name + " " + c.name
}

// could reports whether the cell may have held v at some moment from from to to.
func (c *cell) could(v value, from, to moment) bool {
	for _, e := range c.events {
		if e.op.start < to && c.leaves(e, v) && !c.replaced(e, v, from) {
			return true
		}
	}
	return v == absent && c.collectable(from, to)
}

// collectable reports whether garbage collection may have taken a blob by a moment from from to to: the grace is over, and
// there is no manifest that names the blob and was certainly there all the while.
func (c *cell) collectable(from, to moment) bool {
	if c.kind != blobCell || c.repo.grace == 0 || time.Since(c.kept) < c.repo.grace {
		return false
	}
	for _, holder := range c.repo.namedBy[digest.Digest(c.name)] {
		if !holder.could(absent, from, to) {
			return false
		}
	}
	return true
}

// couldSome is could for any value but absent.
func (c *cell) couldSome(from, to moment) bool {
	for _, e := range c.events {
		if e.effect == set && e.value != absent && c.could(e.value, from, to) {
			return true
		}
	}
	return false
}

// leaves reports whether the cell may hold v because of e.
func (c *cell) leaves(e event, v value) bool {
	switch {
	case e.op.outcome == refused:
		return false
	case e.effect == set:
		return e.value == v
	case e.effect == unset:
		return v == absent && c.could(e.value, e.op.start, e.op.end)
	}
	return false
}

// replaced reports whether what e left in the cell, v, was certainly gone by then.
func (c *cell) replaced(e event, v value, then moment) bool {
	for _, x := range c.events {
		if x.op.outcome == acknowledged && x.op.start > e.op.end && x.op.end < then && x.replaces(v) {
			return true
		}
	}
	return false
}

const (
	maxEvents = 48 // of a cell before it is pruned
	maxRecent = 40 // shown in a report
)

// add notes an event. horizon is the start of the oldest operation whose end or outcome is not known yet.
func (c *cell) add(e event, horizon moment) {
	c.events = append(c.events, e)
	if len(c.events) > maxEvents {
		c.prune(horizon)
	}
	if len(c.recent) == maxRecent {
		c.recent = append(c.recent[:0], c.recent[1:]...)
	}
	c.recent = append(c.recent, e)
}

// prune drops the events that can no longer change an answer of could about moments after horizon.
func (c *cell) prune(horizon moment) {
	var kept []event
	for _, e := range c.events {
		switch {
		case e.op.end >= horizon:
			kept = append(kept, e)
		case e.effect == set && e.op.outcome != refused && !c.replaced(e, e.value, horizon):
			kept = append(kept, e)
		case e.effect == unset && c.leaves(e, absent) && !c.replaced(e, absent, horizon):
			// What it cleared may be dropped now, so that it did has to be said outright.
			kept = append(kept, event{op: e.op.asDoubtful(), effect: set, value: absent})
		}
	}
	c.events = kept
}
