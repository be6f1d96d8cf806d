package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"berth/lifecycle"
)

// The worked examples of the language, in the words of script_test.go.
var exampleTests = []struct{ name, rules, images, want string }{
	{"1 by age", "tagged prod* pushed>14d", "A[prod-1]20d B[dev-1]20d C[prod-2]10d D[]20d", "A:1"},
	{"2 by count", "untagged count>1", "A[]5d B[]3d C[]1d D[v1]9d", "A:1 B:1"},
	{
		"3 a claimed image is counted", "tagged rel* count>1; tagged dev* count>1",
		"A[dev-1,rel-1]10d B[dev-2,rel-2]9d C[dev-3]8d", "A:1",
	},
	{
		"4 the same in another order", "tagged dev* count>1; tagged rel* count>1",
		"A[dev-1,rel-1]10d B[dev-2,rel-2]9d C[dev-3]8d", "A:1 B:1",
	},
	{
		"5 all items of a list", "tagged rc*,dev* pushed>5d",
		"A[rc-1]12d B[dev-1]11d C[rc-2,dev-2]10d D[rc-3]4d E[dev-3]3d F[rc-4,dev-4]2d", "C:1",
	},
	{
		"6 all items, by count", "tagged rc*,dev* count>1",
		"A[rc-1,dev-1,qa-1]10d B[rc-2,dev-2]9d C[rc-3,dev-3,qa-2]8d", "A:1 B:1",
	},
	{"7 any", "any count>1", "A[rc-1]4d B[dev-1]3d C[]2d D[rc-2]1d", "A:1 B:1 C:1"},
	{
		"8 three rules", "tagged rc* count>1; untagged pushed>1d; any count>1",
		"A[rc-1,dev-1]4d B[]3d C[rc-2]2d D[githash]1d E[]12h", "A:1 B:2 D:3",
	},
	{"9 transition", "tagged prod* pushed>30d transition", "A[prod-1]40d B[prod-2]20d", "A:1+"},
	{
		"10 by the last pull", "any pulled>90d transition",
		"A[v1]200d pulled=100d B[v2]200d pulled=5d C[v3]100d D[v4]20d E[v5]200d pulled=150d restored=30d F[v6]200d pulled=150d restored=120d",
		"A:1+ C:1+ F:1+",
	},
	{"11 in the archive", "any archive transitioned>365d", "A[v1]500d archived=400d B[v2]500d archived=100d C[v3]500d", "A:1"},
	{
		"12 into the archive and out of it", "any pushed>30d transition; any archive transitioned>365d",
		"A[v1]500d archived=400d B[v2]500d archived=100d C[v3]40d D[v4]10d", "C:1+ A:2",
	},
	{"13 what goes takes a place", "untagged pushed>1d; any count>2", "U1[]2d T1[a]5d T2[b]4d", "U1:1 T1:2"},
	{
		"14 what goes takes a place, again", "untagged pushed>1d; any count>2",
		"U1[]5d U2[]4d T1[a]3d T2[b]2d T3[c]1d", "U1:1 U2:1 T1:2",
	},
	{
		"15 a claimed image stays", "tagged prod* pushed>30d; any count>3",
		"P1[prod-1]40d P2[prod-2]5d U1[]4d T1[dev-1]3d T2[dev-2]2d", "P1:1",
	},
	{"16 children of an index", "untagged pushed>7d", "M[v1]20d X[]20d in=M Y[]20d in=M Z[]20d", "Z:1|X:1 Y:1"},
	{"17 an index and its children", "any pushed>14d", "M[v1]20d X[]20d in=M Y[]20d in=M", "M:1|X:1 Y:1"},
	{"17 the next time", "any pushed>14d", "X[]20d Y[]20d", "X:1 Y:1"},
	{"18 prefixes", "tagged prefix prod count>2", "A[prod]4d B[production-1]3d C[pre-prod]2d D[prod-9]1d", "A:1"},
	{
		"19 claimed by tags alone", "tagged v*,*-lts pushed>365d; tagged v* count>2",
		"A[v1,1-lts]100d B[v2]90d C[v3]80d D[v4]70d", "B:2",
	},
	{"20 restored counts as new", "any count>1", "A[v1]300d restored=2d B[v2]10d", "B:1"},
	{"21 archived is not counted", "any count>1", "A[v1]3d B[v2]2d C[v0]9d archived=1d", "A:1"},
	{
		"22 the order of the text", "3 any count>1; 1 tagged rc* count>1; 2 untagged pushed>1d",
		"A[rc-1,dev-1]4d B[]3d C[rc-2]2d D[githash]1d E[]12h", "A:1 B:2 D:3",
	},
}

// What the examples leave open.
var decisionTests = []struct{ name, rules, images, want string }{
	{"nothing there", "any count>1", "", ""},
	{"as many as may stay", "any count>2", "A[]2d B[]1d", ""},
	{"exactly N days", "any pushed>2d", "A[]2d B[]1d", ""},
	{"a little more than N days", "any pushed>2d", "A[]172800000000001n", "A:1"},
	{"pushed in the future", "any pushed>1d", "A[]-5d", ""},
	{"more days than there have been", "any pushed>2147483647d", "A[]9000d", ""},
	{"more images than there are", "any count>2147483647", "A[]9000d", ""},
	{"equally old", "any count>1", "A[]1d C[]1d B[]1d", "B:1 C:1"},
	{"equally old as what it lists", "any count>1", "A[]1d in=M B[]1d in=M M[v]1d", "|A:1 B:1"},
	{"a nanosecond younger", "any count>1", "A[]1000000001n B[]1000000000n", "A:1"},
	{"no tag at all", "untagged pushed>1d", "A[]2d B[x]2d", "A:1"},
	{"no tag is no tag that matches", "tagged * pushed>1d", "A[]2d B[x]2d", "B:1"},
	{"claimed although nothing of the rule is old", "tagged a pushed>30d; untagged pushed>1d; any pushed>1d", "A[a]9d B[b]9d", "B:3"},
	{"claims do not cross classes", "any pushed>1d transition; any archive transitioned>90d", "A[]99d archived=91d B[]2d", "B:1+ A:2"},

	{"exact tag", "tagged v1 pushed>1d", "A[v1]2d B[v1.1]2d C[xv1]2d D[V1]2d", "A:1"},
	{"star in front", "tagged *-lts pushed>1d", "A[1-lts]2d B[1-lts2]2d C[-lts]2d", "A:1 C:1"},
	{"star in the middle", "tagged v*-lts pushed>1d", "A[v1-lts]2d B[v-lts]2d C[v1]2d D[xv1-lts]2d", "A:1 B:1"},
	{"four stars", "tagged *a*b*c* pushed>1d", "A[abc]2d B[xaybzcw]2d C[acb]2d", "A:1 B:1"},
	{"a question mark is a letter", "tagged v? pushed>1d", "A[v1]2d", ""},
	{"a question mark beside a star", "tagged v?*,*v? pushed>1d", "A[v1]2d", ""},
	{"a question mark behind a star", "tagged *? pushed>1d", "A[v1]2d", ""},
	{"prefixes are case sensitive", "tagged prefix Prod pushed>1d", "A[prod]2d B[Prod1]2d", "B:1"},
	{"a star in a prefix is a letter", "tagged prefix p* pushed>1d", "A[prod]2d", ""},
	{"all prefixes of a list", "tagged prefix a,b pushed>1d", "A[a1,b1]2d B[a1,a2]2d", "A:1"},
	{"one tag for several items", "tagged v*,*-lts pushed>1d", "A[v1-lts]2d", "A:1"},

	{"never pulled, restored", "any pulled>90d transition", "A[]400d restored=91d B[]400d restored=89d", "A:1+"},
	{"pulled after it was restored", "any pulled>90d transition", "A[]400d restored=100d pulled=91d B[]400d restored=100d pulled=90d", "A:1+"},
	{"pulls do not make young", "any pushed>5d", "A[]9d pulled=1d", "A:1"},
	{"restored, by age", "any pushed>5d", "A[]9d restored=4d B[]9d restored=6d", "B:1"},
	{"exactly 90 days in the archive", "any archive transitioned>90d", "A[]99d archived=90d", ""},
	{"archived before, now restored", "any archive transitioned>90d", "A[]999d archived=900d restored=800d", ""},
	{"being restored", "untagged count>1; any pushed>1d; any archive transitioned>90d", "A[]999d archived=900d restoring B[]9d C[]8d", "B:1"},

	{"a child takes a place", "untagged count>1", "M[v1]5d X[]5d in=M Y[]1d", "|X:1"},
	{"a tagged child", "tagged v* pushed>1d", "M[x]5d X[v1]5d in=M", "|X:1"},
	{"a child of two", "any pushed>7d; any archive transitioned>90d", "M[v1]20d N[v2]1d X[]20d in=M,N", "M:1|X:1"},
	{"of an index that came meanwhile", "any pushed>7d", "X[]20d in=M", "|X:1"},
	{"blocked in the archive", "any archive transitioned>90d", "M[v1]400d archived=300d X[]400d in=M archived=300d", "M:1|X:1"},
	{"blocked by the first rule that it meets", "untagged pushed>1d; any pushed>1d", "M[v1]1h X[]5d in=M", "|X:1"},
	{"an index of indexes", "any pushed>7d", "M[v1]20d N[]20d in=M X[]20d in=N", "M:1|N:1 X:1"},

	{"archived with its index", "any pushed>7d transition", "M[v1]20d X[]20d in=M Y[]1d in=M", "M:1+ X:1+<M Y:1+<M"},
	{"a claimed child is archived with its index", "untagged pushed>7d; any pushed>7d transition", "M[v1]20d X[]20d in=M", "M:2+ X:2+<M"},
	{"not with one of its indexes", "any pushed>7d transition", "M[v1]20d N[v2]1d X[]20d in=M,N", "M:1+|X:1+"},
	{"with both", "any pushed>7d transition", "M[v1]20d N[v2]30d X[]20d in=M,N", "M:1+ N:1+ X:1+<M"},
	{"with one that is left", "tagged a pushed>7d; tagged b pushed>7d transition", "M[a]20d N[b]20d X[]20d in=M,N", "M:1 N:2+ X:2+<N"},
	{"with one that was archived before", "any pushed>7d transition", "M[a]20d archived=1d N[b]20d X[]20d in=M,N", "N:1+ X:1+<N"},
	{"not with one that is being restored", "any pushed>7d transition", "M[a]20d archived=1d restoring N[b]20d X[]20d in=M,N", "N:1+|X:1+"},
	{"a child that is archived already", "any pushed>7d transition", "M[v1]20d X[]20d in=M archived=1d", "M:1+"},
	{"an index of indexes is archived", "any pushed>7d transition", "M[v1]20d N[]20d in=M X[]20d in=N", "M:1+ N:1+<M X:1+<N"},
	{"by two ways", "any pushed>7d transition", "M[v1]20d N[]20d in=M O[]20d in=M X[]20d in=N,O", "M:1+ N:1+<M O:1+<M X:1+<N"},

	{"a referrer expires with its subject", "tagged v* pushed>7d", "A[v1]20d S[]20d of=A B[v2]1d T[]20d of=B", "A:1 S:1<A"},
	{"a referrer is not taken for itself", "untagged pushed>7d; any pushed>7d", "A[v1]1d S[]20d of=A T[t]20d of=A", ""},
	{"a referrer takes no place", "any count>2", "A[v1]5d S[]1d of=A T[]1d of=A B[v2]2d", ""},
	{"a referrer without its subject", "untagged pushed>7d", "S[]20d of=A T[]1d of=A", "S:1"},
	{"referrers of referrers", "any pushed>7d", "A[v1]20d S[]1d of=A T[]1d of=S", "A:1 S:1<A T:1<S"},
	{"a referrer is archived with its subject", "any pushed>7d transition", "A[v1]20d S[]1d of=A T[]1d of=A archived=1d", "A:1+ S:1+<A"},
	{"out of the archive too", "any archive transitioned>90d", "A[v1]400d archived=300d S[]400d of=A archived=300d T[]1d of=A", "A:1 S:1<A T:1<A"},
	{"a referrer that is being restored", "any pushed>7d", "A[v1]20d S[]20d of=A archived=9d restoring", "A:1 S:1<A"},
	{"the referrers of an index and its children", "any pushed>7d transition", "M[v1]20d X[]20d in=M S[]20d of=M T[]20d of=X", "M:1+ X:1+<M S:1+<M T:1+<X"},
	{"of the children nothing expires", "tagged v* pushed>7d", "M[v1]20d X[]20d in=M S[]20d of=M T[]20d of=X", "M:1 S:1<M"},
	{"a referrer that an index lists", "any pushed>7d", "A[v1]20d S[]20d of=A in=M M[v2]1d", "A:1"},
	{"a referrer that an index lists which goes", "any pushed>7d", "A[v1]20d S[]20d of=A in=M M[v2]20d", "A:1 M:1"},
	{"a referrer that is an index", "any pushed>7d", "A[v1]20d S[]20d of=A X[]20d in=S", "A:1 S:1<A|X:1"},
	{"an index that goes with its subject keeps nothing", "tagged a pushed>7d; tagged b pushed>7d transition", "A[a]20d S[]20d of=A N[b]20d X[]20d in=N,S", "A:1 S:1<A N:2+ X:2+<N"},
	{"its own subject", "any pushed>7d", "A[v1]20d of=A", ""},
	{"each other's subject", "any pushed>7d", "A[v1]20d of=B B[v1]20d of=A", ""},
	{"its own index", "any pushed>7d transition", "A[v1]20d in=A", "|A:1+"},
}

func TestDecide(t *testing.T) {
	for _, test := range slices.Concat(exampleTests, decisionTests) {
		t.Run(test.name, func(t *testing.T) { decide(t, test.rules, test.images, test.want) })
	}
}

// Decisions come rule by rule, the youngest image first, then what goes with them.
func TestDecideOrder(t *testing.T) {
	images := imagesOf(t, "A[]9d B[]7d C[v1]20d D[v2]30d S[]1d of=D T[]2d of=C U[]1d of=C")
	taken, _ := lifecycle.Decide(policyOf(t, "tagged v* count>1; any pushed>5d"), images, now)
	if got, want := strings.Join(tell(taken), " "), "D:1 B:2 A:2 S:1<D"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A decision says why.
func TestDecideReason(t *testing.T) {
	images := imagesOf(t, "A[v1]9d B[v2]8d C[v3]7d X[]9d in=M M[]1d S[]1d of=A T[]400d archived=100d U[x]20d pulled=3d")
	rules := "tagged v* count>1; untagged pushed>2d; tagged x pulled>2d transition; any archive transitioned>90d"
	taken, blocked := lifecycle.Decide(policyOf(t, rules), images, now)
	type reason struct {
		rank int
		age  time.Duration
	}
	want := map[string]reason{
		"A:1":   {rank: 3},
		"B:1":   {rank: 2},
		"X:2":   {age: 9 * day},
		"U:3+":  {age: 3 * day},
		"T:4":   {age: 100 * day},
		"S:1<A": {},
	}
	all := slices.Concat(taken, blocked)
	for i, name := range tell(all) {
		if got := (reason{all[i].Rank, all[i].Age}); got != want[name] {
			t.Errorf("%s: %v, want %v", name, got, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("missing are %v", want)
	}
}

// A time that nobody has noted is not one long ago.
func TestDecideUnknownTimes(t *testing.T) {
	images := imagesOf(t, "A[]9d B[]9d archived=9d")
	images[0].PushedAt, images[1].ArchivedAt = time.Time{}, time.Time{}
	taken, blocked := lifecycle.Decide(policyOf(t, "any pushed>1d; any archive transitioned>90d"), images, now)
	if len(taken)+len(blocked) > 0 {
		t.Errorf("got %v, %v", taken, blocked)
	}
}
