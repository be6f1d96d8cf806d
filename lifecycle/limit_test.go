package lifecycle_test

import (
	"testing"

	"berth/lifecycle"
)

var limitTests = []struct {
	text string
	want lifecycle.Limit
}{
	{"auto", lifecycle.Limit{}},
	{"off", lifecycle.Limit{Off: true}},
	{"20", lifecycle.Limit{Images: 20}},
	{"20%", lifecycle.Limit{Percent: 20}},
	{"100%", lifecycle.Limit{Percent: 100}},
}

func TestParseLimit(t *testing.T) {
	for _, test := range limitTests {
		got, err := lifecycle.ParseLimit(test.text)
		if err != nil || got != test.want || got.String() != test.text {
			t.Errorf("%s is %+v (%v), written as %s", test.text, got, err, got)
		}
	}
	for _, text := range []string{"0", "-1", "101%", "0%", "many", "1.5", "%", "5 %"} {
		if got, err := lifecycle.ParseLimit(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

var exceededTests = []struct {
	limit                          string
	images, taken, blocked, tagged int
	exceeded                       bool
}{
	// Nine of ten, more than ten of them, and fewer than ten left.
	{"auto", 20, 20, 0, 0, true},
	{"auto", 11, 11, 0, 0, true},
	{"auto", 10, 10, 0, 0, false},
	{"auto", 20, 18, 0, 0, false},
	{"auto", 20, 19, 0, 0, true},
	{"auto", 1000, 990, 0, 0, false}, // the last ten are kept
	{"auto", 1000, 991, 0, 0, true},
	{"auto", 20, 1, 18, 0, true}, // an index goes, and what it lists follows
	{"auto", 20, 0, 0, 20, false},
	{"auto", 0, 0, 0, 0, false},
	{"off", 20, 20, 0, 0, false},
	{"5", 1000, 5, 0, 0, false},
	{"5", 1000, 6, 0, 0, true},
	{"5", 1000, 0, 0, 6, true},
	{"50%", 10, 5, 0, 0, false},
	{"50%", 10, 6, 0, 0, true},
}

func TestLimit(t *testing.T) {
	p := policyOf(t, "any count>1")
	for _, test := range exceededTests {
		l, err := lifecycle.ParseLimit(test.limit)
		if err != nil {
			t.Fatal(err)
		}
		why := lifecycle.Exceeded(l, p, test.images, test.taken, test.blocked, test.tagged)
		if (why != "") != test.exceeded {
			t.Errorf("%+v: %q", test, why)
		}
	}
}
