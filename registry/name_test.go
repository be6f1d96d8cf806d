package registry

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// nameGrammar is the expression of the specification, which ParseName does without.
var nameGrammar = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

var names = []string{
	"a", "team/app", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1/2", "a.b_c__d--e/f",
	"", "/", "a/", "/a", "a//b", "A", "a.", ".a", "a..b", "a___b", "a._b", "a-_b", "-a", "a-", "..", "a/../b", "a%2fb", "a b", "ä", "a:b", "a\x00b",
}

func TestParseName(t *testing.T) {
	for _, s := range names {
		checkName(t, s)
	}
	if _, err := ParseName(strings.Repeat("a", MaxNameLength)); err != nil {
		t.Errorf("a name of %d characters: %v", MaxNameLength, err)
	}
	if _, err := ParseName(strings.Repeat("a", MaxNameLength+1)); !errors.Is(err, ErrNameInvalid) {
		t.Errorf("a name of %d characters: %v, want ErrNameInvalid", MaxNameLength+1, err)
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range names {
		f.Add(s)
	}
	f.Fuzz(checkName)
}

func checkName(t *testing.T, s string) {
	got, err := ParseName(s)
	want := nameGrammar.MatchString(s) && len(s) <= MaxNameLength
	if (err == nil) != want {
		t.Errorf("ParseName(%q): %v, want valid: %v", s, err, want)
	}
	if err != nil && !errors.Is(err, ErrNameInvalid) {
		t.Errorf("ParseName(%q): %v, want ErrNameInvalid", s, err)
	}
	if err == nil && string(got) != s {
		t.Errorf("ParseName(%q) = %q", s, got)
	}
}
