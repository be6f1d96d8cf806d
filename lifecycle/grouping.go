package lifecycle

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"berth/registry"
)

// What a regular expression of a policy may cost. It is matched in a time that grows with
// its size and the length of a tag, whatever it looks like; so the size is limited, and
// the worst that a policy can do is known.
const (
	maxGroupingLength = 200 // characters
	maxGroupingSize   = 200 // steps
	maxGroupingSizes  = 500 // steps in a policy
)

// grouping is a regular expression that puts tags into groups, by what its parentheses
// capture.
type grouping struct {
	*regexp.Regexp
	size int // steps
}

// badGrouping is what is wrong with one.
type badGrouping struct{ what, remedy string }

func newGrouping(expression string) (*grouping, *badGrouping) {
	if n := utf8.RuneCountInString(expression); n > maxGroupingLength {
		return nil, &badGrouping{
			fmt.Sprintf("countPerGroup can have at most %d characters, found: %d", maxGroupingLength, n),
			"shorten it; what the list of tags selects already need not be said again",
		}
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		// On one line, whatever the expression has, so that the message is one.
		reason := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "error parsing regexp: ")), " ")
		return nil, &badGrouping{
			fmt.Sprintf("countPerGroup is no regular expression (%s)", reason),
			"write it as RE2 has it, https://github.com/google/re2/wiki/Syntax, without back references and looking around",
		}
	}
	if n := parsed.MaxCap(); n != 1 {
		return nil, &badGrouping{
			fmt.Sprintf("countPerGroup must have one pair of parentheses that captures, found: %d", n),
			"put ( ) around what the tags of a group have in common, such as (.+)-[0-9]+, and write (?: ) elsewhere",
		}
	}
	size := steps(parsed)
	if size > maxGroupingSize {
		return nil, &badGrouping{
			fmt.Sprintf("countPerGroup is too large: it can have at most %d steps, found: %d", maxGroupingSize, size),
			"write + in place of large numbers in braces",
		}
	}
	// A tag is matched as a whole, as patterns do.
	return &grouping{regexp.MustCompile(`\A(?:` + expression + `)\z`), size}, nil
}

// steps is the size of an expression with its repetitions written out: characters, sets of
// them, and operators. [0-9a-f]{40} has 40.
func steps(e *syntax.Regexp) int {
	n := max(1, len(e.Rune))
	if e.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range e.Sub {
		n += steps(sub)
	}
	if e.Op == syntax.OpRepeat {
		n = (n - 1) * max(e.Min, e.Max, 1)
	}
	return n
}

// of is the group of a tag, which may be empty; it is not ok if the tag is in none.
func (g *grouping) of(t registry.Tag) (group string, ok bool) {
	m := g.FindStringSubmatchIndex(string(t))
	if m == nil {
		return "", false
	}
	if m[2] < 0 { // the parentheses were not needed
		return "", true
	}
	return string(t[m[2]:m[3]]), true
}

// groupOf is the group of a tag that the rule is about.
func (r *Rule) groupOf(t registry.Tag) (string, bool) {
	if !r.selects(t) {
		return "", false
	}
	return r.grouping.of(t)
}
