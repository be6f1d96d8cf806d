package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/lifecycle"
	"berth/registry"
)

// What Amazon ECR does not have, in the words of script_test.go.
var extensionTests = []struct{ name, rules, images, want string }{
	{"tags of an image that stays", `tagged dev-* pushed>7d {"tagsOnly":true}`, "A[dev-1,v1]9d B[dev-2]9d C[dev-3]1d D[v2]9d", "A:1(dev-1) B:1(dev-2)"},
	{"tags of any item of the list", `tagged a*,b* pushed>7d {"tagsOnly":true}`, "A[a1,b1,c1]9d B[a1]9d", "A:1(a1,b1)"},
	{"tags by prefix", `tagged prefix a pushed>7d {"tagsOnly":true}`, "A[a1,b1]9d", "A:1(a1)"},
	{"tags by count", `tagged a* count>1 {"tagsOnly":true}`, "A[a1,a2,x]3d B[a3]2d C[x]1d", "A:1(a1,a2)"},
	{"tags by the last pull", `tagged a* pulled>7d {"tagsOnly":true,"expireByPull":true}`, "A[a1,x]9d B[a2]9d pulled=7d", "A:1(a1)"},
	{"tags in the archive", `tagged a* archive transitioned>90d {"tagsOnly":true}`, "A[a1,x]99d archived=91d", "A:1(a1)"},
	{"without its last tag it stays until the next time", `tagged * pushed>7d {"tagsOnly":true}; untagged pushed>7d`, "A[a]9d", "A:1(a)"},
	{"the next time", `tagged * pushed>7d {"tagsOnly":true}; untagged pushed>7d`, "A[]9d", "A:2"},
	{"whose tags a rule could take is its own", `tagged a* pushed>7d {"tagsOnly":true}; any pushed>1d`, "A[a,x]9d B[a,x]5d C[x]5d", "A:1(a) C:2"},
	{"no index blocks tags", `tagged * pushed>7d {"tagsOnly":true}`, "M[v1]1d X[x]9d in=M", "X:1(x)"},
	{"nothing goes with tags", `tagged * pushed>7d {"tagsOnly":true}`, "M[v1]9d X[]9d in=M S[]9d of=M", "M:1(v1)"},
	{"archived as a whole", `tagged x pushed>7d {"tagsOnly":true}; tagged v* pushed>7d transition`, "M[v1]9d X[x]9d in=M", "M:2+ X:2+<M"},
	{"what loses tags is there", `tagged x pushed>7d {"tagsOnly":true}; tagged v* pushed>7d transition`, "M[x]9d N[v1]9d X[]9d in=M,N", "M:1(x) N:2+"},

	{"by the last pull", `any pulled>7d {"expireByPull":true}`, "A[]9d B[]9d pulled=7d C[]5d D[]9d pulled=8d E[]99d restored=7d pulled=50d", "A:1 D:1"},

	{"the last of each group", `tagged * count>2 {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1]9d B[x-2]8d C[x-3]7d D[y-1]6d E[y-2]5d F[z]4d G[x-4]3d", "A:1 B:1"},
	{"in none of the groups", `tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}; tagged * pushed>5d`, "A[x-1]9d B[x-2]8d C[z]9d D[z]1d", "A:1 C:2"},
	{"the whole tag", `tagged * count>1 {"countPerGroup":"(b)"}`, "A[b]9d B[b]8d C[bb]9d D[bb]8d E[xb]9d F[xb]9d", "A:1"},
	{"one of several matches", `tagged * count>1 {"countPerGroup":"a(.)|b(?:.)"}`, "A[a1]9d B[b1]8d C[b2]7d", "B:1"},
	{"anchors do no harm", `tagged * count>1 {"countPerGroup":"^(x)$"}`, "A[x]9d B[x]8d C[xx]7d", "A:1"},
	{"an alternative is a whole tag", `tagged * count>1 {"countPerGroup":"(x)-1|x-2"}`, "A[x-1]9d B[x-1]8d C[x-2]7d D[x-2]6d E[x-21]5d", "A:1 C:1"},
	{"stays for one of its groups", `tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1,y-1]9d B[x-2]8d C[x-3,y-2]7d D[x-4]6d", "A:1 B:1"},
	{"twice in a group", `tagged * count>2 {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1,x-2]9d B[x-3,x-4]8d C[x-5,x-6]7d", "A:1"},
	{"a group of what the list selects", `tagged x-* count>1 {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1,y-1]9d B[x-2]8d", "A:1"},
	{"of each group the tags", `tagged * count>1 {"countPerGroup":"(.+)-[0-9]+","tagsOnly":true}`, "A[x-1,y-1,z]9d B[x-2,x-3]8d C[x-4]7d D[y-2]6d", "A:1(x-1,y-1) B:1(x-2,x-3)"},
	{"the newest keeps its tag", `tagged * count>1 {"countPerGroup":"(.+)-[0-9]+","tagsOnly":true}`, "A[x-1,y-1]9d B[x-2]8d", "A:1(x-1)"},
	{"another's images count in groups", `tagged a count>1; tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1]9d B[a,x-2]8d C[x-3]7d", "A:2"},
	{"children count in groups", `tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}`, "M[v]9d X[x-1]9d in=M Y[x-2]8d Z[x-3]7d", "Y:1|X:1"},
	{"groups are archived", `tagged * count>1 transition {"countPerGroup":"(.+)-[0-9]+"}`, "A[x-1]9d B[x-2]8d", "A:1+"},
	{"equally old in a group", `tagged * count>1 {"countPerGroup":"(x)-[0-9]+"}`, "A[x-1]9d B[x-2]9d", "B:1"},

	{"pulled lately", `any pushed>7d; {"keepPulledDays":3}`, "A[]9d pulled=3d B[]9d pulled=4d C[]9d D[]9d pulled=-1d", "B:1 C:1"},
	{"pulled lately, not archived", `any pushed>7d transition; {"keepPulledDays":3}`, "A[]9d pulled=3d B[]9d pulled=4d", "B:1+"},
	{"pulled lately, with its tags", `tagged * pushed>7d {"tagsOnly":true}; {"keepPulledDays":3}`, "A[x]9d pulled=3d B[y]9d", "B:1(y)"},
	{"pulled lately, and counted", `any count>1; {"keepPulledDays":3}`, "A[]9d B[]8d pulled=1d C[]7d", "A:1"},
	{"pulled lately, and claimed", `tagged a pushed>7d; any pushed>7d; {"keepPulledDays":3}`, "A[a]9d pulled=1d", ""},
	{"a child pulled lately", `any pushed>7d; {"keepPulledDays":3}`, "M[]9d X[]9d pulled=1d in=M Y[]9d in=M N[]9d", "N:1"},
	{"a referrer pulled lately", `any pushed>7d; {"keepPulledDays":3}`, "A[]9d S[]9d of=A pulled=1d T[]9d of=A", "A:1 T:1<A"},

	{"what runs", `any pushed>7d; {"keepRunning":true}`, "A[]9d run=prod B[]9d", "B:1"},
	{"what runs, unasked", `any pushed>7d; {"keepRunning":false}`, "A[]9d run=prod B[]9d", "A:1 B:1"},
	{"what runs, in a plain policy", `any pushed>7d`, "A[]9d run=prod", "A:1"},
	{"what runs is not archived", `any pushed>7d transition; {"keepRunning":true}`, "A[]9d run=prod", ""},
	{"the index of what runs", `any pushed>7d; {"keepRunning":true}`, "M[v1]9d X[]9d in=M run=prod Y[]9d in=M N[]9d Z[]9d in=N", "N:1|Z:1"},
	{"the index of the index of what runs", `any pushed>7d; {"keepRunning":true}`, "L[v1]9d M[]9d in=L X[]9d in=M run=prod", ""},
	{"all indexes of what runs", `any pushed>7d; {"keepRunning":true}`, "M[]9d N[]9d X[]9d in=M,N run=prod", ""},
	{"an index of a child beside", `any pushed>7d; {"keepRunning":true}`, "M[]9d N[]9d X[]9d in=M run=prod Y[]9d in=M,N", "N:1"},
	{"children of what runs", `any pushed>7d; {"keepRunning":true}`, "M[v1]9d run=prod X[]9d in=M", ""},
	{"tags of children of what runs", `tagged * pushed>7d {"tagsOnly":true}; {"keepRunning":true}`, "M[v1]9d run=prod X[x]9d in=M", ""},
	{"referrers of what runs", `any pushed>7d; {"keepRunning":true}`, "A[v1]9d run=prod S[]9d of=A T[]9d of=S", ""},
	{"children do not go with another index", `any pushed>7d transition; {"keepRunning":true}`, "M[]9d run=prod N[]9d X[]9d in=M,N", "N:1+"},
	{"its subject goes", `any pushed>7d; {"keepRunning":true}`, "A[v1]9d S[]9d of=A run=prod", "A:1"},
	{"runs and was pulled", `any pushed>7d; {"keepRunning":true,"keepPulledDays":1}`, "A[]9d run=prod B[]9d pulled=1d C[]9d pulled=2d", "C:1"},
}

func TestDecideExtensions(t *testing.T) {
	for _, test := range extensionTests {
		t.Run(test.name, func(t *testing.T) { decide(t, test.rules, test.images, test.want) })
	}
}

// What a policy has besides its rules is there for its callers.
func TestExtended(t *testing.T) {
	for _, test := range []struct {
		extension string // of the policy
		ofRule    string
		want      string
	}{
		{"", "", "false 0 false"},
		{"{}", "", "true 0 false"},
		{"", "{}", "true 0 false"},
		{"", `{"tagsOnly":true}`, "true 0 false"},
		{`{"keepPulledDays":30}`, "", "true 30 false"},
		{`{"keepRunning":true}`, "", "true 0 true"},
		{`{"keepRunning":false}`, "", "true 0 false"},
		{`{"keepPulledDays":2147483647,"keepRunning":true,"maxDeletes":"5%"}`, `{}`, "true 2147483647 true"},
	} {
		p, err := lifecycle.Parse(withBerth(document(withBerth(rule(1, tagged+patternA+one, expire), test.ofRule)), test.extension))
		if err != nil {
			t.Errorf("%s %s: %v", test.extension, test.ofRule, err)
		} else if got := fmt.Sprint(p.Extended, p.KeepPulledDays, p.KeepRunning); got != test.want {
			t.Errorf("%s %s: got %s, want %s", test.extension, test.ofRule, got, test.want)
		}
	}
}

// withBerth puts a member berth into an object, unless it is empty.
func withBerth(object, extension string) string {
	if extension == "" {
		return object
	}
	return extend(object, `"berth":`+extension+",")
}

func TestMaxDeletes(t *testing.T) {
	for _, test := range []struct {
		limit  string
		images int
		want   string
	}{
		{``, 100, "0 false"},
		{`{}`, 100, "0 false"},
		{`{"maxDeletes":1}`, 0, "1 true"},
		{`{"maxDeletes":1}`, 100, "1 true"},
		{`{"maxDeletes":2147483647}`, 100, "2147483647 true"},
		{`{"maxDeletes":"10%"}`, 100, "10 true"},
		{`{"maxDeletes":"10%"}`, 101, "11 true"},
		{`{"maxDeletes":"10%"}`, 1, "1 true"},
		{`{"maxDeletes":"10%"}`, 0, "0 true"},
		{`{"maxDeletes":"100%"}`, 7, "7 true"},
		{`{"maxDeletes":"1%"}`, 1_000_000, "10000 true"},
	} {
		p, err := lifecycle.Parse(withBerth(document(rule(1, anyImage+one, expire)), test.limit))
		if err != nil {
			t.Errorf("%s: %v", test.limit, err)
			continue
		}
		limit, ok := p.MaxDeletes(test.images)
		if got := fmt.Sprint(limit, ok); got != test.want {
			t.Errorf("%s of %d: got %s, want %s", test.limit, test.images, got, test.want)
		}
	}
}

// A rule that counts in groups says in which one, by the best place that did not help.
func TestDecideGroup(t *testing.T) {
	images := imagesOf(t, "A[x-1,y-1]9d B[x-2,y-2]8d C[x-3]7d D[y-3]6d E[y-4]5d F[q-1,p-1]4d G[p-2,q-2]3d")
	for _, test := range []struct{ rules, want string }{
		{`tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}`, "F:1 p 2 D:1 y 2 B:1 x 2 A:1 x 3"},
		{`tagged * count>3 {"countPerGroup":"(.+)-[0-9]+","tagsOnly":true}`, "A:1(y-1) y 4"},
	} {
		taken, _ := lifecycle.Decide(policyOf(t, test.rules), images, now)
		var got []string
		for n, name := range tell(taken) {
			got = append(got, fmt.Sprint(name, " ", taken[n].Group, " ", taken[n].Rank))
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%s: got %s, want %s", test.rules, got, test.want)
		}
	}
}

// An image with a thousand tags is one image, in as many groups as they are in.
func TestDecideManyTags(t *testing.T) {
	images := imagesOf(t, "A[]9d B[]8d C[x-1]7d")
	for n := range 1000 {
		images[0].Tags = append(images[0].Tags, registry.Tag(fmt.Sprintf("t%03d-1", n)))
		images[1].Tags = append(images[1].Tags, registry.Tag(fmt.Sprintf("t%03d-2", n)))
	}
	for _, test := range []struct {
		rules string
		gone  int // tags
	}{
		{`tagged * count>1 {"countPerGroup":"(.+)-[0-9]+"}`, 1000},
		{`tagged * count>1 {"countPerGroup":"(.+)-[0-9]+","tagsOnly":true}`, 1000},
		{`tagged * count>1 {"countPerGroup":"(t).*","tagsOnly":true}`, 1000},
		{`tagged t0*,t9* pushed>8d {"tagsOnly":true}`, 200},
	} {
		taken, _ := lifecycle.Decide(policyOf(t, test.rules), images, now)
		if len(taken) != 1 || taken[0].Image != &images[0] {
			t.Errorf("%s: got %d decisions", test.rules, len(taken))
		} else if tags := taken[0].Tags; strings.Contains(test.rules, "tagsOnly") && len(tags) != test.gone {
			t.Errorf("%s: %d tags go, want %d", test.rules, len(tags), test.gone)
		}
	}
}

// Times at the ends of the calendar are times.
func TestDecideDates(t *testing.T) {
	first := time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	images := imagesOf(t, "A[]1d B[]1d")
	for _, test := range []struct {
		rules  string
		pushed time.Time
		now    time.Time
		goes   bool
	}{
		{"any pushed>1d", first, now, true},
		{"any pushed>1d", first, last, true},
		{"any pushed>1d", last, now, false},
		{"any pushed>1d", last, last, false},
		{"any pushed>1d", last, first, false},
		{"any pushed>2147483647d", first, last, false},
		{"any pushed>3652058d", first, last, true}, // they are 3,652,058 days and almost one more apart
		{"any pushed>3652059d", first, last, false},
		{`any pushed>1d; {"keepPulledDays":2147483647}`, first, last, false},
		{`any pulled>1d {"expireByPull":true}`, first, last, true},
	} {
		images[0].PushedAt, images[0].LastPulledAt = test.pushed, test.pushed
		images[1].PushedAt = test.now
		taken, _ := lifecycle.Decide(policyOf(t, test.rules), images, test.now)
		if goes := len(taken) == 1 && taken[0].Image == &images[0]; goes != test.goes || len(taken) > 1 {
			t.Errorf("%s at %v, pushed %v: got %v", test.rules, test.now, test.pushed, tell(taken))
		}
		for _, v := range lifecycle.Explain(policyOf(t, test.rules), images, test.now) {
			if strings.Contains(v.Reason, "-") {
				t.Errorf("%s at %v: %s", test.rules, test.now, v.Reason)
			}
		}
	}
}
