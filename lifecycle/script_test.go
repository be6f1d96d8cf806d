package lifecycle_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
)

// now is when the tests decide.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// policyOf reads rules as the examples of the documentation are told, separated by
// semicolons:
//
//	tagged prod*,dev* pushed>14d; tagged prefix v count>5 transition; any archive transitioned>365d
//
// The n-th has the priority n, unless it begins with another number. What Amazon ECR does
// not have stands in braces, at the end of a rule or of all of them:
//
//	tagged * count>5 {"countPerGroup":"(.+)-[0-9]+"}; any pulled>90d {"expireByPull":true}; {"keepRunning":true}
func policyOf(t testing.TB, script string) *lifecycle.Policy {
	t.Helper()
	var all []string
	extended := ""
	for text := range strings.SplitSeq(script, ";") {
		text, extension, found := strings.Cut(text, "{")
		if found {
			extension = `"berth":{` + extension + ","
		}
		words := strings.Fields(text)
		if len(words) == 0 {
			extended = extension
			continue
		}
		priority := len(all) + 1
		if n, err := strconv.Atoi(words[0]); err == nil {
			priority, words = n, words[1:]
		}
		selection := fmt.Sprintf(`"tagStatus":%q`, words[0])
		action := expire
		list := "tagPatternList"
		for _, word := range words[1:] {
			what, number, counts := strings.Cut(word, ">")
			number, days := strings.CutSuffix(number, "d")
			switch {
			case counts:
				selection += fmt.Sprintf(`,"countType":%q,"countNumber":%s`, countTypes[what], number)
				if days {
					selection += `,"countUnit":"days"`
				}
			case word == "transition":
				action = archive
			case word == "archive":
				selection += `,"storageClass":"archive"`
			case word == "prefix":
				list = "tagPrefixList"
			default:
				selection += fmt.Sprintf(`,%q:["%s"]`, list, strings.ReplaceAll(word, ",", `","`))
			}
		}
		all = append(all, extend(rule(priority, selection, action), extension))
	}
	p, err := lifecycle.Parse(extend(document(all...), extended))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return p
}

// extend puts members, with a comma behind them, into an object.
func extend(object, members string) string { return "{" + members + object[1:] }

var countTypes = map[string]lifecycle.CountType{
	"count":        lifecycle.ImageCountMoreThan,
	"pushed":       lifecycle.SinceImagePushed,
	"pulled":       lifecycle.SinceImagePulled,
	"transitioned": lifecycle.SinceImageTransitioned,
}

// imagesOf reads images: a name, tags in brackets, how old it is, and what else there is
// to say of it.
//
//	A[prod-1,x]10d pulled=5d restored=2d   B[]3h archived=1d in=A,B of=C restoring run=prod,dev
func imagesOf(t testing.TB, script string) []lifecycle.Image {
	t.Helper()
	var images []lifecycle.Image
	for word := range strings.FieldsSeq(script) {
		if name, rest, isImage := strings.Cut(word, "["); isImage {
			tags, age, _ := strings.Cut(rest, "]")
			i := lifecycle.Image{Image: registry.Image{Class: registry.Standard}}
			i.Digest, i.PushedAt = named(name), ago(t, age)
			for _, tag := range split(tags) {
				i.Tags = append(i.Tags, registry.Tag(tag))
			}
			images = append(images, i)
			continue
		}
		i := &images[len(images)-1]
		switch name, value, _ := strings.Cut(word, "="); name {
		case "pulled":
			i.LastPulledAt = ago(t, value)
		case "archived":
			i.ArchivedAt, i.Class = ago(t, value), registry.Archive
		case "restored":
			i.ActivatedAt, i.Class = ago(t, value), registry.Standard
		case "restoring":
			i.Class = ""
		case "in":
			for _, index := range split(value) {
				i.Indexes = append(i.Indexes, named(index))
			}
		case "run":
			i.RunningIn = split(value)
		case "of":
			i.Subject = named(value)
		default:
			t.Fatalf("%q is nothing to say of an image", word)
		}
	}
	return images
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// named is the digest of an image. It reads like one, and sorts by name.
func named(name string) digest.Digest {
	return digest.Digest(fmt.Sprintf("sha256:%x%s", name, strings.Repeat("0", 64-2*len(name))))
}

func nameOf(d digest.Digest) string {
	b, _ := hex.DecodeString(d.Encoded())
	return strings.TrimRight(string(b), "\x00")
}

func ago(t testing.TB, age string) time.Time {
	t.Helper()
	number, unit := age[:len(age)-1], map[byte]time.Duration{'d': day, 'h': time.Hour, 'n': time.Nanosecond}[age[len(age)-1]]
	n, err := strconv.Atoi(number)
	if err != nil || unit == 0 {
		t.Fatalf("%q is no age", age)
	}
	return now.Add(-time.Duration(n) * unit)
}

// tell lists decisions as "A:1": A expires by rule 1. "A:1+" is archived; "B:1<A" goes
// with A; of "A:1(x,y)" only the tags go.
func tell(decisions []lifecycle.Decision) []string {
	told := []string{}
	for _, d := range decisions {
		s := fmt.Sprintf("%s:%d", nameOf(d.Image.Digest), d.Rule)
		if d.Action == lifecycle.Transition {
			s += "+"
		}
		for n, tag := range d.Tags {
			s += "(,"[min(n, 1):][:1] + string(tag)
		}
		if len(d.Tags) > 0 {
			s += ")"
		}
		if d.Follows != "" {
			s += "<" + nameOf(d.Follows)
		}
		told = append(told, s)
	}
	return told
}

// decide checks what rules do to images. want has what is taken, in any order, and after
// a bar what is blocked.
func decide(t *testing.T, rules, images, want string) {
	t.Helper()
	taken, blocked := lifecycle.Decide(policyOf(t, rules), imagesOf(t, images), now)
	wantTaken, wantBlocked, _ := strings.Cut(want, "|")
	for _, compared := range []struct {
		what string
		got  []lifecycle.Decision
		want string
	}{{"taken", taken, wantTaken}, {"blocked", blocked, wantBlocked}} {
		got := slices.Sorted(slices.Values(tell(compared.got)))
		if want := slices.Sorted(strings.FieldsSeq(compared.want)); !slices.Equal(got, want) {
			t.Errorf("%s\non %s\n%s %v, want %v", rules, images, compared.what, got, want)
		}
	}
}
