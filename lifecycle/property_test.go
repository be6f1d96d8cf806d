package lifecycle_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"berth/lifecycle"
	"berth/registry"
)

// TestDecideAsDescribed holds Decide against an evaluator that is as slow as it is
// simple, on small worlds in which much happens at once.
func TestDecideAsDescribed(t *testing.T) {
	seen := map[verdict]int{}
	held, spared := 0, 0
	world := func(t *rapid.T) {
		rules, keeps := drawPolicy(t)
		p := parsed(t, extend(rules, keeps))
		images := drawImages(t)
		given := slices.Clone(images)
		taken, blocked := lifecycle.Decide(p, images, now)
		if !cmp.Equal(images, given) {
			t.Fatal("the images are others now")
		}

		checkExplained(t, p, images, taken, blocked)

		s := slow{p, p.Rules(), images, now}
		wantTaken, wantBlocked := s.decide()
		s.compare(t, "taken", taken, wantTaken)
		s.compare(t, "blocked", blocked, wantBlocked)
		for _, v := range wantTaken {
			v.rule = 0
			if v.tags != "" {
				v.tags = "some"
			}
			seen[v]++
		}
		held += len(wantBlocked)
		if keeps != "" {
			spared += s.checkKeeps(t, parsed(t, rules), taken, blocked)
		}

		again, _ := lifecycle.Decide(p, rapid.Permutation(images).Draw(t, "order"), now)
		if !cmp.Equal(again, taken) {
			t.Fatalf("in another order %v, was %v", tell(again), tell(taken))
		}
	}
	for range 5 {
		rapid.Check(t, world)
	}
	if testing.Short() {
		return // too few worlds to have seen everything for sure
	}
	if len(seen) < 5 || held == 0 || spared == 0 {
		t.Errorf("the worlds are poor: %v, %d blocked, %d spared", seen, held, spared)
	}
}

func parsed(t *rapid.T, text string) *lifecycle.Policy {
	p, err := lifecycle.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// checkKeeps checks that what a policy keeps whatever its rules say makes nothing go that
// the rules alone let stay, and nothing in another way. It returns how many images are
// better off.
func (s slow) checkKeeps(t *rapid.T, rules *lifecycle.Policy, taken, blocked []lifecycle.Decision) int {
	alone := map[digest.Digest]string{}
	takenAlone, blockedAlone := lifecycle.Decide(rules, s.images, now)
	for _, d := range takenAlone {
		alone[d.Image.Digest] = string(d.Action) + tagsOf(d)
	}
	for _, d := range taken {
		// An image that would follow another may lose only tags while that one stays.
		if was := alone[d.Image.Digest]; was == "" || len(d.Tags) == 0 && was != string(d.Action) {
			t.Fatalf("kept are some, and so it goes: %v, was %v", tell([]lifecycle.Decision{d}), tell(takenAlone))
		}
	}
	for _, d := range blockedAlone {
		alone[d.Image.Digest] = "blocked"
	}
	for _, d := range blocked {
		if alone[d.Image.Digest] == "" {
			t.Fatalf("kept are some, and so it is blocked: %v", tell([]lifecycle.Decision{d}))
		}
	}
	for d := range alone {
		if i := s.find(d); !s.spared(*i) {
			delete(alone, d)
		}
	}
	return len(alone)
}

// tagsOf are the tags that a decision is about, if it is about tags only.
func tagsOf(d lifecycle.Decision) string {
	var all []string
	for _, t := range d.Tags {
		all = append(all, string(t))
	}
	return strings.Join(all, ",")
}

// compare checks that the decisions are those that are wanted, and that each has a good
// reason.
func (s slow) compare(t *rapid.T, what string, got []lifecycle.Decision, want map[digest.Digest]verdict) {
	verdicts := map[digest.Digest]verdict{}
	for n, d := range got {
		i := *d.Image
		verdicts[i.Digest] = verdict{d.Rule, d.Action, d.Follows != "", tagsOf(d)}
		if v := want[i.Digest]; v.follows && d.Follows != "" {
			// There may be several that it could follow, and of those each has a right to it.
			v.rule = d.Rule
			want[i.Digest] = v
			leader := slices.IndexFunc(got[:n], func(l lifecycle.Decision) bool { return l.Image.Digest == d.Follows })
			related := i.Subject == d.Follows || slices.Contains(i.Indexes, d.Follows)
			if leader < 0 || got[leader].Rule != d.Rule || got[leader].Action != d.Action || !related {
				t.Fatalf("%v: it does not follow what it says", tell(got[:n+1]))
			}
		}
		if !cmp.Equal(i, *s.find(i.Digest)) {
			t.Fatalf("another image now: %v", i)
		}
		s.checkReason(t, d)
	}
	if len(verdicts) != len(got) || !maps.Equal(verdicts, want) {
		t.Fatalf("%s: %v, want %v", what, tell(got), want)
	}
}

func (s slow) checkReason(t *rapid.T, d lifecycle.Decision) {
	var rank int
	var age time.Duration
	at := slices.IndexFunc(s.rules, func(r lifecycle.Rule) bool { return r.Priority == d.Rule })
	switch r := s.rules[at]; {
	case d.Follows != "":
	case r.Group != "":
		for _, g := range groups(r, *d.Image) {
			if at := s.rank(r, g, *d.Image); at > r.CountNumber && (rank == 0 || at < rank) {
				rank = at
			}
		}
		if s.rank(r, d.Group, *d.Image) != rank || !slices.Contains(groups(r, *d.Image), d.Group) {
			t.Fatalf("%v: its rank in %q is not %d", tell([]lifecycle.Decision{d}), d.Group, rank)
		}
	case r.CountType == lifecycle.ImageCountMoreThan:
		rank = s.rank(r, "", *d.Image)
	default:
		age = now.Sub(clock(r, *d.Image))
	}
	if d.Rank != rank || d.Age != age {
		t.Fatalf("%v: rank %d, age %v, want %d, %v", tell([]lifecycle.Decision{d}), d.Rank, d.Age, rank, age)
	}
}

// drawPolicy draws rules of which no two are at odds, in any order of the text, and what
// the policy keeps whatever they say. Every other policy has nothing that Amazon ECR does
// not have.
func drawPolicy(t *rapid.T) (rules, keeps string) {
	extended := rapid.Bool().Draw(t, "extended")
	var selections []string
	for _, class := range []string{"standard", "archive"} {
		tagged := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			`"tagPatternList":["*"]`, `"tagPatternList":["a*"]`, `"tagPatternList":["a*","*b"]`, `"tagPatternList":["*1*"]`, `"tagPatternList":["ab"]`,
			`"tagPatternList":["*a*b*"]`, `"tagPrefixList":["a"]`, `"tagPrefixList":["b","a"]`, `"tagPrefixList":[""]`, `"tagPatternList":["*a?"]`,
		}), 0, 3, rapid.ID).Draw(t, "lists")
		var own []string
		for _, list := range tagged {
			own = append(own, `"tagStatus":"tagged",`+list+`,"storageClass":"`+class+`"`)
		}
		if rapid.Bool().Draw(t, "untagged") {
			own = append(own, untagged+`"storageClass":"`+class+`"`)
		}
		own = rapid.Permutation(own).Draw(t, "turns")
		if rapid.Bool().Draw(t, "any") || len(own) == 0 {
			own = append(own, anyImage+`"storageClass":"`+class+`"`)
		}
		selections = append(selections, own...)
	}
	var all []string
	for n, selection := range selections {
		action := rapid.SampledFrom([]string{expire, archive}).Draw(t, "action")
		kind := rapid.SampledFrom([]lifecycle.CountType{lifecycle.ImageCountMoreThan, lifecycle.SinceImagePushed, lifecycle.SinceImagePulled}).Draw(t, "count type")
		number := rapid.IntRange(1, 4).Draw(t, "count number")
		switch {
		case strings.Contains(selection, `"archive"`):
			kind, number, action = lifecycle.SinceImageTransitioned, 90+number, expire
		case kind == lifecycle.SinceImagePulled && !extended:
			action = archive
		}
		extension := ""
		if extended {
			extension = drawExtension(t, selection, kind, action)
		}
		selection += fmt.Sprintf(`,"countType":%q,"countNumber":%d`, kind, number)
		if kind != lifecycle.ImageCountMoreThan {
			selection += `,"countUnit":"days"`
		}
		all = append(all, extend(rule(10*n+rapid.IntRange(1, 10).Draw(t, "priority"), selection, action), extension))
	}
	if extended {
		keeps = fmt.Sprintf(`"berth":{"keepRunning":%t,"keepPulledDays":%d},`,
			rapid.Bool().Draw(t, "keep running"), rapid.SampledFrom([]int{9, 1, 2, 3, 4}).Draw(t, "keep pulled"))
		keeps = strings.Replace(keeps, `,"keepPulledDays":9`, "", 1)
	}
	return document(rapid.Permutation(all).Draw(t, "text")...), keeps
}

// drawExtension draws what a rule may have beyond Amazon ECR.
func drawExtension(t *rapid.T, selection string, kind lifecycle.CountType, action string) string {
	var members []string
	if kind == lifecycle.SinceImagePulled && action == expire {
		members = append(members, `"expireByPull":true`)
	}
	tagged := strings.Contains(selection, `"tagged"`)
	if tagged && action == expire && rapid.Bool().Draw(t, "tags only") {
		members = append(members, `"tagsOnly":true`)
	}
	if tagged && kind == lifecycle.ImageCountMoreThan && rapid.Bool().Draw(t, "groups") {
		expression := rapid.SampledFrom([]string{`([a-z]*)[0-9]*`, `(.).*`, `(b)?.*[^b]`, `[^0-9]+([0-9].*)`}).Draw(t, "expression")
		members = append(members, fmt.Sprintf(`"countPerGroup":%q`, expression))
	}
	if len(members) == 0 {
		return ""
	}
	return `"berth":{` + strings.Join(members, ",") + "},"
}

// drawImages draws some images in any order.
func drawImages(t *rapid.T) []lifecycle.Image {
	images := make([]lifecycle.Image, rapid.IntRange(2, 12).Draw(t, "images"))
	for n := range images {
		images[n] = drawImage(t, len(images)+1)
		images[n].Digest = named(string(rune('A' + n)))
	}
	return rapid.Permutation(images).Draw(t, "snapshot")
}

// drawImage draws an image of a world so small that ages meet. It may refer to others, of
// which there are about as many as names.
func drawImage(t *rapid.T, names int) lifecycle.Image {
	some := func(label string) time.Time { // days ago, now and then a bit more
		return now.Add(-time.Duration(rapid.SampledFrom([]int{4, 2, 3, 5, 1, 0}).Draw(t, label))*day - time.Duration(rapid.IntRange(0, 1).Draw(t, "more")))
	}
	name := rapid.Custom(func(t *rapid.T) digest.Digest {
		return named(string(rune('A' + rapid.IntRange(0, names-1).Draw(t, "name"))))
	})
	var i lifecycle.Image
	i.Class = rapid.SampledFrom([]registry.StorageClass{
		registry.Standard, registry.Standard, registry.Standard, registry.Archive, "",
	}).Draw(t, "class")
	i.PushedAt = some("pushed")
	i.Tags = rapid.SliceOfNDistinct(rapid.SampledFrom([]registry.Tag{"a", "ab", "a1", "b", "ba1b", "1", "v"}), 0, 3, rapid.ID).Draw(t, "tags")
	if rapid.IntRange(0, 2).Draw(t, "is pulled") == 2 {
		i.LastPulledAt = some("pulled")
	}
	if i.Class == registry.Archive || rapid.IntRange(0, 3).Draw(t, "was archived") == 3 {
		i.ArchivedAt = some("archived").Add(-90 * day)
	}
	if i.Class == registry.Standard && !i.ArchivedAt.IsZero() {
		i.ActivatedAt = some("restored")
	}
	if rapid.IntRange(0, 2).Draw(t, "is a child") == 2 {
		i.Indexes = rapid.SliceOfNDistinct(name, 1, 2, rapid.ID).Draw(t, "indexes")
	}
	if rapid.IntRange(0, 7).Draw(t, "runs") == 7 {
		i.RunningIn = []string{"prod"}
	}
	if rapid.IntRange(0, 3).Draw(t, "is a referrer") == 3 {
		i.Subject = name.Draw(t, "subject")
	}
	return i
}
