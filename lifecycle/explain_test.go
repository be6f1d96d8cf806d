package lifecycle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"berth/lifecycle"
)

// Each image has a reason, told here with names in place of digests.
var reasonTests = []struct{ rules, images, want string }{
	{"tagged v* count>2", "A[v1]9d", "kept 1: rule 1 keeps it: it is the youngest counted, and 2 may stay"},
	{"tagged v* count>2", "A[v1]9d B[v2]8d C[v3]7d", "taken 1: rule 1 expires it: it is the 3rd youngest counted, and 2 may stay"},
	{"any count>1; any archive transitioned>90d", "A[v1]9d archived=100d", "taken 2: rule 2 expires it: it was archived 100 days ago, and the limit is 90 days"},
	{"any pushed>14d", "A[]4d", "kept 1: rule 1 keeps it: it was pushed 4 days ago, and the limit is 14 days"},
	{"any pushed>1d", "A[]27h", "taken 1: rule 1 expires it: it was pushed 1 day 3 hours ago, and the limit is 1 day"},
	{"any pushed>1d", "A[]1h", "kept 1: rule 1 keeps it: it was pushed 1 hour ago, and the limit is 1 day"},
	{"any pushed>1d", "A[]-1h", "kept 1: rule 1 keeps it: it was pushed in the future, and the limit is 1 day"},
	{"any pushed>1d", "A[]9d restored=3d", "taken 1: rule 1 expires it: it was restored 3 days ago, and the limit is 1 day"},
	{"any pulled>1d transition", "A[]9d pulled=3d", "taken 1: rule 1 archives it: it was pulled 3 days ago, and the limit is 1 day"},
	{"any pulled>1d transition", "A[]9d", "taken 1: rule 1 archives it: it was pushed 9 days ago and never pulled, and the limit is 1 day"},
	{"any pulled>1d transition", "A[]9d restored=3d", "taken 1: rule 1 archives it: it was restored 3 days ago and not pulled since, and the limit is 1 day"},
	{"any pushed>1d", "A[]9d in=M", "blocked 1: blocked by index M: rule 1 expires it once it is in no index; it was pushed 9 days ago, and the limit is 1 day"},
	{"any pushed>1d transition", "A[]9d in=M,N M[]9d N[]1h", "blocked 1: blocked by index N: rule 1 archives it once it is in no index; it was pushed 9 days ago, and the limit is 1 day"},
	{"tagged v* pushed>1d transition", "A[]9d in=M M[v1]9d", "taken 1: is archived with the index M, by rule 1"},
	{"tagged v* pushed>1d", "A[]9d of=M M[v1]9d", "taken 1: expires with its subject M, by rule 1"},
	{"tagged v* pushed>9d", "A[]9d of=M M[v1]9d", "kept 0: stays with its subject M"},
	{"tagged v* pushed>1d", "A[]9d of=M in=N M[v1]9d", "kept 0: blocked by index N: its subject M goes"},
	{"tagged v* pushed>1d transition", "A[]9d of=M archived=1d M[v1]9d", "kept 0: is in the archive already, where its subject M goes"},
	{"tagged v* pushed>1d", "A[]9d of=M in=N archived=1d M[v1]9d", "kept 0: blocked by index N: its subject M goes"},
	{"any pushed>1d", "A[]9d restoring", "kept 0: is just being restored"},
	{"tagged v* pushed>1d", "A[x]9d", "kept 0: no rule is about it"},
	{"any pushed>1d", "A[x]9d archived=1d", "kept 0: is in the archive, and no rule is about the archive"},
	{"tagged v* archive transitioned>90d", "A[x]9d archived=1d", "kept 0: is in the archive, and no rule about the archive is about it"},

	{`tagged a* pushed>1d {"tagsOnly":true}`, "A[a1,a2,x]9d", "taken 1: rule 1 takes 2 tags from it, a1, a2: it was pushed 9 days ago, and the limit is 1 day"},
	{`tagged a* pushed>1d {"tagsOnly":true}`, "A[a1,x]1h", "kept 1: rule 1 keeps it: it was pushed 1 hour ago, and the limit is 1 day"},
	{`tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1]9d B[x-2]8d", `taken 1: rule 1 expires it: it is the 2nd youngest in the group "x", and 1 may stay`},
	{`tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1,y-1]9d B[x-2]8d", `kept 1: rule 1 keeps it: it is the youngest in the group "y", and 1 may stay`},
	{`any pushed>1d; {"keepPulledDays":7}`, "A[]9d pulled=3d", "kept 1: stays since it was pulled 3 days ago; rule 1 expires it otherwise"},
	{`any pushed>1d; {"keepPulledDays":7}`, "A[]1h pulled=1h", "kept 1: stays since it was pulled 1 hour ago"},
	{`any pushed>1d; {"keepRunning":true}`, "A[]9d run=prod,dev pulled=3d", "kept 1: stays since it runs in prod, dev; rule 1 expires it otherwise"},
	{`any pushed>1d; {"keepRunning":true}`, "A[]9d X[]9d in=A run=prod", "kept 1: stays with X, which runs in prod; rule 1 expires it otherwise"},
	{`any pushed>1d; {"keepRunning":true}`, "A[]9d in=M M[]1d run=prod", "kept 1: stays with M, which runs in prod; rule 1 expires it otherwise"},
	{`any pushed>1d; {"keepRunning":true}`, "A[]9d of=M M[]9d run=prod", "kept 0: stays with M, which runs in prod"},
}

func TestExplain(t *testing.T) {
	for _, test := range reasonTests {
		images := imagesOf(t, test.images)
		at := slices.IndexFunc(images, func(i lifecycle.Image) bool { return i.Digest == named("A") })
		v := lifecycle.Explain(policyOf(t, test.rules), images, now)[at]
		if got := tellVerdict(v); got != test.want {
			t.Errorf("%s\non %s\n%s, want\n%s", test.rules, test.images, got, test.want)
		}
	}
}

// tellVerdict is a verdict in which names stand for digests.
func tellVerdict(v lifecycle.Verdict) string {
	reason := v.Reason
	for name := 'A'; name <= 'Z'; name++ {
		reason = strings.ReplaceAll(reason, named(string(name)).String(), string(name))
	}
	return string(v.Outcome) + " " + string(rune('0'+v.Rule)) + ": " + reason
}

// checkExplained holds Explain against what Decide has decided: each image has a verdict,
// in its place, and those on which there is a decision have that one.
func checkExplained(t *rapid.T, p *lifecycle.Policy, images []lifecycle.Image, taken, blocked []lifecycle.Decision) {
	decided := map[digest.Digest]lifecycle.Verdict{}
	for _, d := range taken {
		decided[d.Image.Digest] = lifecycle.Verdict{Outcome: lifecycle.Taken, Decision: d, Rule: d.Rule}
	}
	for _, d := range blocked {
		decided[d.Image.Digest] = lifecycle.Verdict{Outcome: lifecycle.Blocked, Decision: d, Rule: d.Rule}
	}
	if len(decided) != len(taken)+len(blocked) {
		t.Fatalf("two decisions on an image: %v, %v", tell(taken), tell(blocked))
	}
	verdicts := lifecycle.Explain(p, images, now)
	if len(verdicts) != len(images) {
		t.Fatalf("%d verdicts on %d images", len(verdicts), len(images))
	}
	for n, v := range verdicts {
		if v.Image != &images[n] || v.Reason == "" {
			t.Fatalf("the verdict on %v is %v", images[n], v)
		}
		want, found := decided[v.Image.Digest]
		if !found {
			want = lifecycle.Verdict{Outcome: lifecycle.Kept, Rule: v.Rule}
		}
		want.Image, want.Reason = v.Image, v.Reason
		if !cmp.Equal(v, want) {
			t.Fatalf("got %v, decided is %v", v, want)
		}
	}
	reasons := map[digest.Digest]string{}
	for _, v := range verdicts {
		reasons[v.Image.Digest] = v.Reason
	}
	for _, v := range lifecycle.Explain(p, rapid.Permutation(images).Draw(t, "order of explanation"), now) {
		if v.Reason != reasons[v.Image.Digest] {
			t.Fatalf("in another order %s, was %s", v.Reason, reasons[v.Image.Digest])
		}
	}
}
