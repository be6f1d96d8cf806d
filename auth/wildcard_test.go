package auth

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var wildcardTests = []struct {
	pattern, s string
	want       bool
}{
	{"", "", true},
	{"", "a", false},
	{"*", "", true},
	{"*", "team/app", true},
	{"?", "", false},
	{"?", "a", true},
	{"team/*", "team/app", true},
	{"team/*", "team/a/b", true},
	{"team/*", "team", false},
	{"team/*", "teams/app", false},
	{"*/app", "a/b/app", true},
	{"*/app", "app", false},
	{"a*b*c", "abbbc", true},
	{"a*b*c", "abcb", false},
	{"a**", "a", true},
	{"a?c", "abc", true},
	{"a?c", "ac", false},
	{"a*?", "a", false},
}

func TestMatchWildcard(t *testing.T) {
	for _, test := range wildcardTests {
		if got := MatchWildcard(test.pattern, test.s); got != test.want {
			t.Errorf("%q on %q: %v", test.pattern, test.s, got)
		}
	}
}

// naiveMatch tries every way, which is plainly right and takes exponential time.
func naiveMatch(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return naiveMatch(pattern[1:], s) || s != "" && naiveMatch(pattern, s[1:])
	case s == "":
		return false
	}
	return (pattern[0] == '?' || pattern[0] == s[0]) && naiveMatch(pattern[1:], s[1:])
}

func TestMatchWildcardIsTheNaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "s")
		if got, want := MatchWildcard(pattern, s), naiveMatch(pattern, s); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func TestMatchWildcardIsNotExponential(t *testing.T) {
	pattern, s := strings.Repeat("*a", 120)+"b", strings.Repeat("a", 256)
	start := time.Now()
	for range 100 {
		if MatchWildcard(pattern, s) {
			t.Fatal("matches")
		}
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("100 matches took %s", d)
	}
}

func TestActionsAreInOrderAndComplete(t *testing.T) {
	if !slices.IsSorted(actions) || len(actionIndex) != len(actions) || len(actions) > 128 {
		t.Errorf("%d actions, %d names", len(actions), len(actionIndex))
	}
	for _, a := range actions {
		if !strings.HasPrefix(string(a), "ecr:") || len(verbsFor[a]) == 0 {
			t.Errorf("%s: %v", a, verbsFor[a])
		}
	}
}
