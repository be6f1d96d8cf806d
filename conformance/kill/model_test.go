package main

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// script plays operations on the tag "t" of one repository by hand: they begin and end in the order of the calls.
type script struct {
	t    *testing.T
	m    *model
	repo *repository
}

func newScript(t *testing.T) *script {
	m := newModel([]string{"r"}, []string{"t", "u"})
	return &script{t, m, m.byName["r"]}
}

func (s *script) begin(effects ...change) *operation { return s.m.begin(0, "test", "test", effects) }

func (s *script) end(op *operation, v verdict) {
	s.t.Helper()
	if err := s.m.conclude(op, 200, v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *script) move(tag string, to value) {
	s.end(s.begin(change{s.repo.tags[tag], set, to}), done())
}

// look is a read that shows a value. It reports whether the model thinks that possible.
func (s *script) look(tag string, v value) bool {
	return s.m.conclude(s.begin(), 200, done().showing(s.repo.tags[tag], v)) == nil
}

func TestAcknowledgedIsThere(t *testing.T) {
	s := newScript(t)
	if !s.look("t", absent) || s.look("t", "a") {
		t.Error("the registry does not begin empty")
	}
	s.move("t", "a")
	s.move("t", "b")
	if s.look("t", "a") || s.look("t", absent) || !s.look("t", "b") {
		t.Error("the tag is not what it was last set to")
	}
	s.move("t", absent)
	if s.look("t", "b") || !s.look("t", absent) {
		t.Error("the tag is not gone")
	}
}

func TestOverlapping(t *testing.T) {
	s := newScript(t)
	a := s.begin(change{s.repo.tags["t"], set, "a"})
	b := s.begin(change{s.repo.tags["t"], set, "b"})
	s.end(a, done())
	s.end(b, done())
	if s.look("t", absent) {
		t.Error("neither of two was done")
	}
	if !s.look("t", "a") {
		t.Error("the one that ended first cannot have come last")
	}
	if s.look("t", "b") {
		t.Error("a tag that was seen moves by itself")
	}
}

func TestRefusedChangesNothing(t *testing.T) {
	s := newScript(t)
	s.end(s.begin(change{s.repo.tags["t"], set, "a"}), no())
	if s.look("t", "a") {
		t.Error("what was refused is there")
	}
}

func TestDoubtful(t *testing.T) {
	for _, seen := range []value{"old", "new"} {
		s := newScript(t)
		s.move("t", "old")
		s.m.cutOff(s.begin(change{s.repo.tags["t"], set, "new"}))
		other := map[value]value{"old": "new", "new": "old"}[seen]
		if s.look("t", absent) || !s.look("t", seen) || s.look("t", other) {
			t.Errorf("a tag that was moving and was then seen as %q is not just that", seen)
		}
	}
}

// TestAbandoned is done when others have looked and done more, but not after all has come to rest.
func TestAbandoned(t *testing.T) {
	s := newScript(t)
	s.move("t", "old")
	s.m.abandon(s.begin(change{s.repo.tags["t"], set, "late"}))
	if !s.look("t", "old") {
		t.Error("what was abandoned must have been done at once")
	}
	s.move("t", "new")
	if s.look("t", "old") || !s.look("t", "new") || !s.look("t", "late") {
		t.Error("what was abandoned cannot be done late")
	}
	asOf, err := s.m.parked()
	if err != nil {
		t.Fatal(err)
	}
	if !s.look("t", "late") || s.m.settle(asOf) != nil {
		t.Fatal("what was done late is impossible")
	}
	s.move("t", "newest")
	if s.look("t", "late") {
		t.Error("what has been settled is done again")
	}
}

// TestDeletedManifestTakesItsTags also says that it takes no others.
func TestDeletedManifestTakesItsTags(t *testing.T) {
	s := newScript(t)
	s.move("t", "a")
	s.move("u", "a")
	s.move("u", "b")
	s.end(s.begin(change{s.repo.tags["t"], unset, "a"}, change{s.repo.tags["u"], unset, "a"}), done())
	if s.look("t", "a") || !s.look("t", absent) {
		t.Error("the tag of the deleted manifest is there")
	}
	if s.look("u", absent) || !s.look("u", "b") {
		t.Error("a tag that had moved on is gone")
	}
}

func TestSettle(t *testing.T) {
	tests := []struct {
		name string
		t, u value  // as seen after the kill
		want string // of settle; empty means that it is content
	}{
		{"all of it", "new", "new", ""},
		{"none of it", "old", absent, ""},
		{"half of it", "new", absent, "neither as if"},
		{"the other half", "old", "new", "neither as if"},
	}
	for _, test := range tests {
		s := newScript(t)
		s.move("t", "old")
		s.m.cutOff(s.begin(change{s.repo.tags["t"], set, "new"}, change{s.repo.tags["u"], set, "new"}))
		asOf, err := s.m.parked()
		if err != nil {
			t.Fatal(err)
		}
		if !s.look("t", test.t) || !s.look("u", test.u) {
			t.Fatalf("%s: impossible on its own", test.name)
		}
		err = s.m.settle(asOf)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: settled with %v", test.name, err)
		}
	}
}

// TestPruned goes on for so long that the model forgets most of it.
func TestPruned(t *testing.T) {
	s := newScript(t)
	at := s.repo.tags["t"]
	for i := range 10 * maxEvents {
		v := value(digest.FromString(string(rune(i))))
		s.move("t", v)
		s.move("u", v)
		s.end(s.begin(change{at, unset, v}), done())
		if i%3 == 0 && (s.look("t", v) || !s.look("t", absent)) {
			t.Fatal("the tag of a deleted manifest is there")
		}
		if !s.look("u", v) || s.look("u", absent) {
			t.Fatal("a tag was forgotten")
		}
	}
	if n := len(at.events); n > maxEvents+1 {
		t.Errorf("%d events are kept", n)
	}
	if s.look("t", "x") || !s.look("t", absent) {
		t.Error("the tag is not gone")
	}
}
