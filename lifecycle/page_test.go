package lifecycle_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"berth/lifecycle"
)

// TestPage reads the policies of docs/lifecycle.md, and holds the tables below them against
// what is decided.
func TestPage(t *testing.T) {
	b, err := os.ReadFile("../docs/lifecycle.md")
	if err != nil {
		t.Fatal(err)
	}
	policies, outcomes := 0, 0
	for _, block := range strings.Split(string(b), "```json\n")[1:] {
		text, after, _ := strings.Cut(block, "```\n")
		p, err := lifecycle.Parse(text)
		if err != nil {
			t.Errorf("%s\n%v", text, err)
			continue
		}
		if len(text) < lifecycle.MinLength {
			t.Errorf("%s\nis too short to be put", text)
		}
		policies++
		images, want := tableOf(t, after)
		for n, v := range lifecycle.Explain(p, images, now) {
			if got := outcomeOf(v); got != want[n] {
				t.Errorf("%s\n%s %s, the page says: %s (%s)", text, nameOf(v.Image.Digest), got, want[n], v.Reason)
			}
			outcomes++
		}
	}
	if policies < 7 || outcomes < 30 {
		t.Errorf("%d policies with %d outcomes are not the page", policies, outcomes)
	}
}

// tableOf reads the table at the beginning of a text, if there is one: images, and what
// is said to become of them.
func tableOf(t *testing.T, text string) (images []lifecycle.Image, outcomes []string) {
	var script []string
	for line := range strings.Lines(strings.TrimLeft(text, "\n")) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|\n"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if cells[0] == "image" || cells[0] == "---" {
			continue
		}
		words := []string{fmt.Sprintf("%s[%s]%s", cells[0], strings.ReplaceAll(cells[1], " ", ""), daysAgo.ReplaceAllString(cells[2], "${1}d"))}
		for fact := range strings.SplitSeq(cells[3], ";") {
			for _, f := range facts {
				fact = f.words.ReplaceAllString(strings.TrimSpace(fact), f.script)
			}
			words = append(words, fact)
		}
		script, outcomes = append(script, words...), append(outcomes, cells[4])
	}
	return imagesOf(t, strings.Join(script, " ")), outcomes
}

var daysAgo = regexp.MustCompile(`^([0-9]+) days ago$`)

// facts are what a table says of images, and the same in the words of script_test.go.
var facts = []struct {
	words  *regexp.Regexp
	script string
}{
	{regexp.MustCompile(`^pulled ([0-9]+) days ago$`), "pulled=${1}d"},
	{regexp.MustCompile(`^runs in (\w+)$`), "run=$1"},
	{regexp.MustCompile(`^listed by (\w+)$`), "in=$1"},
	{regexp.MustCompile(`^refers to (\w+)$`), "of=$1"},
}

// outcomeOf says what becomes of an image as the page does.
func outcomeOf(v lifecycle.Verdict) string {
	if v.Outcome == lifecycle.Kept {
		return "stays"
	}
	does := "expires"
	switch d := v.Decision; {
	case v.Outcome == lifecycle.Blocked:
		does = "waits for " + nameOf(v.Image.Indexes[0])
	case len(d.Tags) > 0:
		does = "loses " + strings.ReplaceAll(tagsOf(d), ",", ", ")
	case d.Action == lifecycle.Transition:
		does = "is archived"
	}
	if v.Decision.Follows != "" {
		does += " with " + nameOf(v.Decision.Follows)
	}
	return fmt.Sprintf("%s (rule %d)", does, v.Rule)
}
