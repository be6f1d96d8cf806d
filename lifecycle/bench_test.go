package lifecycle_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
)

// crowd is a repository of n images as builds leave them: indexes of two images each,
// signatures, tags of branches and releases. Some were pulled, and a few run somewhere.
func crowd(n int) []lifecycle.Image {
	random := rand.New(rand.NewPCG(1, 2))
	images := make([]lifecycle.Image, n)
	for k := range images {
		i := &images[k]
		i.Class, i.Digest = registry.Standard, digest.FromString(fmt.Sprint(k))
		i.PushedAt = now.Add(-time.Duration(random.IntN(1000)) * day)
		if k%3 == 0 {
			i.LastPulledAt = i.PushedAt.Add(time.Duration(random.IntN(100)) * day)
		}
		if k%50 == 0 {
			i.RunningIn = []string{"prod"}
		}
		switch k % 4 {
		case 0:
			i.Tags = []registry.Tag{
				registry.Tag(fmt.Sprintf("branch-%d-build-%d", random.IntN(60), k)),
				registry.Tag(fmt.Sprintf("%x", random.Uint64())),
			}
		case 1, 2:
			i.Indexes = []digest.Digest{images[k-k%4].Digest}
		case 3:
			i.Subject = images[k-3].Digest
		}
	}
	return images
}

// costs are policies of 50 rules, 49 of one kind.
var costs = []struct{ name, selection, extension string }{
	{"prefixes by count", `"tagStatus":"tagged","tagPrefixList":["branch-%d-"],"countType":"imageCountMoreThan","countNumber":10`, ""},
	{"patterns by count", `"tagStatus":"tagged","tagPatternList":["branch-%d-*"],"countType":"imageCountMoreThan","countNumber":10`, ""},
	{"four stars by age", `"tagStatus":"tagged","tagPatternList":["*anch-%d-*uild*7*"],"countType":"sinceImagePushed","countUnit":"days","countNumber":30`, ""},
	{"groups", `"tagStatus":"tagged","tagPatternList":["branch-%d*"],"countType":"imageCountMoreThan","countNumber":10`, `{"countPerGroup":"(.+)-[0-9]+"}`},
	{"tags of groups", `"tagStatus":"tagged","tagPatternList":["branch-%d*"],"countType":"imageCountMoreThan","countNumber":10`, `{"countPerGroup":"(.+)-[0-9]+","tagsOnly":true}`},
}

// costly is the policy of a kind. If it has extensions then it has those of policies too.
func costly(t testing.TB, selection, extension string) *lifecycle.Policy {
	var list []string
	for n := range lifecycle.MaxRules - 1 {
		list = append(list, withBerth(rule(n+1, fmt.Sprintf(selection, n), expire), extension))
	}
	text := document(append(list, rule(50, anyImage+`"countType":"imageCountMoreThan","countNumber":100`, expire))...)
	if extension != "" {
		text = withBerth(text, `{"keepPulledDays":30,"keepRunning":true,"maxDeletes":"10%"}`)
	}
	p, err := lifecycle.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// BenchmarkDecide is 50 rules on 100,000 images.
func BenchmarkDecide(b *testing.B) {
	images := crowd(100_000)
	for _, kind := range costs {
		b.Run(kind.name, func(b *testing.B) {
			p := costly(b, kind.selection, kind.extension)
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if taken, blocked := lifecycle.Decide(p, images, now); len(taken) == 0 || len(blocked) == 0 {
					b.Fatal("nothing happens")
				}
			}
			b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

// TestDecideCost holds Decide to half a second of processor time, with some room for
// machines that are slower or busy, and to 100 MB.
func TestDecideCost(t *testing.T) {
	const limit, room, memory = time.Second / 2, 3, 100_000_000
	if raced() {
		t.Skip("the race detector takes its time")
	}
	images := crowd(100_000)
	for _, kind := range costs {
		p := costly(t, kind.selection, kind.extension)
		var used time.Duration
		for range 3 {
			var m, n runtime.MemStats
			runtime.ReadMemStats(&m)
			before := processorTime(t)
			lifecycle.Decide(p, images, now)
			used = processorTime(t) - before
			runtime.ReadMemStats(&n)
			if got := n.TotalAlloc - m.TotalAlloc; got > memory {
				t.Errorf("%s: %d bytes", kind.name, got)
			}
			if used < limit*room {
				break
			}
		}
		if used >= limit*room {
			t.Errorf("%s: %v of processor time", kind.name, used)
		}
	}
}

// processorTime is what this process has used so far.
func processorTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// raced reports whether the test runs with the race detector.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// slowest are policies made to be slow: each rule looks through every tag several times
// to find that it does not match.
var slowest = []struct {
	name string
	text func() string
}{
	{"stars", func() string {
		var list []string
		for n := range lifecycle.MaxRules {
			list = append(list, rule(n+1, fmt.Sprintf(`"tagStatus":"tagged","tagPatternList":["*a*a*a*aab%d"],`, n)+one, expire))
		}
		return document(list...)
	}},
	{"expressions", func() string {
		var list []string
		for n := range 4 {
			list = append(list, withBerth(rule(n+1, tagged+`"tagPatternList":["*"],`+one, expire),
				fmt.Sprintf(`{"countPerGroup":"((?:a?){%d}a{40}.*)b"}`, 35+n)))
		}
		return document(list...)
	}},
}

// thicket is images whose tags are as long as tags get, and end unlike what they promise.
func thicket(n int) []lifecycle.Image {
	images := crowd(n)
	for k := range images {
		images[k].Tags = []registry.Tag{registry.Tag(fmt.Sprintf("%s-%08d", strings.Repeat("a", 119), k))}
	}
	return images
}

func BenchmarkDecideSlowest(b *testing.B) {
	images := thicket(100_000)
	for _, kind := range slowest {
		b.Run(kind.name, func(b *testing.B) {
			p, err := lifecycle.Parse(kind.text())
			if err != nil {
				b.Fatal(err)
			}
			before := processorTime(b)
			for b.Loop() {
				lifecycle.Decide(p, images, now)
			}
			b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

// TestDecideSlowest holds policies that are made to be slow to a time that grows with
// the images and with nothing else. Of one that looks for every way in which a tag could
// match, nobody would see the end.
func TestDecideSlowest(t *testing.T) {
	images := thicket(1000)
	for _, kind := range slowest {
		p, err := lifecycle.Parse(kind.text())
		if err != nil {
			t.Fatal(err)
		}
		before := processorTime(t)
		if taken, blocked := lifecycle.Decide(p, images, now); len(taken)+len(blocked) > 0 {
			t.Errorf("%s: something goes", kind.name)
		}
		if used := processorTime(t) - before; used > 5*time.Second {
			t.Errorf("%s: %v of processor time", kind.name, used)
		}
	}
}

// BenchmarkParse is a policy as long as they get.
func BenchmarkParse(b *testing.B) {
	text := pad(document(rules(lifecycle.MaxRules)...), lifecycle.MaxLength)
	for b.Loop() {
		if _, err := lifecycle.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
