package engine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/queue"
)

// dueJobs does the jobs of policies that are due, and says how many runs there were.
func (s *site) dueJobs(p *lifecycle.Pruner) (runs int) {
	s.t.Helper()
	count := func(kind string, o queue.Outcome, _ time.Duration) {
		if kind == lifecycle.RunJob {
			runs++
		}
		if o != queue.Done {
			s.t.Errorf("a job of kind %s is %s", kind, o)
		}
	}
	for _, handlers := range []map[string]queue.Handler{p.Runs(), p.Previews()} {
		w := queue.NewWorker(s.db, handlers, queue.Options{Concurrency: 1, Observe: count})
		want(s.t, "RunDue", w.RunDue(s.t.Context()), nil)
	}
	return runs
}

// scheduled has policies applied that are due.
func (s *site) scheduled(p *lifecycle.Pruner) (runs int) {
	s.t.Helper()
	_, err := p.Schedule(s.t.Context())
	want(s.t, "Schedule", err, nil)
	return s.dueJobs(p)
}

// TestSchedule: a repository is looked at when its policy is put, then again and again, and
// others never.
func TestSchedule(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		p := lifecycle.NewPruner(s.db, lifecycle.Options{Every: 10 * time.Hour})
		step := func(what string, runs int) {
			t.Helper()
			if n := s.scheduled(p); n != runs {
				t.Errorf("%s: %d runs, want %d", what, n, runs)
			}
		}
		images := several(3)
		s.aged("a", images, untagged)
		want(t, "push", s.push(t.Context(), "other", images[0]), nil)
		step("no policy", 0)
		s.policy("a", "untagged imageCountMoreThan 2")
		if n := s.dueJobs(p); n != 1 {
			t.Errorf("%d runs after a policy was put, without any schedule", n)
		}
		s.left("a", images[1:]...)
		step("just done", 0)
		s.clock.advance(8 * time.Hour)
		step("before its time", 0)
		s.clock.advance(4 * time.Hour)
		step("after its time", 1)
		step("done again", 0)
		s.policy("a", "untagged imageCountMoreThan 1")
		s.policy("a", "untagged imageCountMoreThan 2")
		step("two policies at once", 1)
		want(t, "policy", func() error { _, err := s.SetLifecyclePolicy(t.Context(), "a", nil); return err }(), nil)
		s.clock.advance(24 * time.Hour)
		step("no policy any more", 0)
	})
}

// TestIdleRuns: of runs one after the other that find nothing to do the last is remembered.
func TestIdleRuns(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		images := several(3)
		s.aged("a", images[:2], untagged)
		s.policy("a", "untagged imageCountMoreThan 1")
		for _, n := range []int{1, 2, 2, 2} {
			run := s.prune("a", lifecycle.Options{})
			runs, err := s.db.LifecycleRuns(t.Context(), "a", 0, 10)
			if err != nil || len(runs) != n || runs[0] != run {
				t.Errorf("%d runs, %v; want %d and %+v", len(runs), err, n, run)
			}
		}
		s.aged("a", images[2:], untagged)
		s.prune("a", lifecycle.Options{})
		if runs, err := s.db.LifecycleRuns(t.Context(), "a", 0, 10); err != nil || len(runs) != 3 {
			t.Errorf("%d runs, %v", len(runs), err)
		}
	})
}

// TestTemplatePolicy: a policy that comes with a template is applied.
func TestTemplatePolicy(t *testing.T) {
	s := newSite(t, "", open, mem.New())
	_, err := s.AddCreationTemplate(t.Context(), registry.CreationTemplate{
		Prefix: "team", AppliedFor: []string{registry.CreateOnPush}, Lifecycle: string(rules("untagged imageCountMoreThan 1")),
	})
	want(t, "AddCreationTemplate", err, nil)
	images := several(2)
	s.aged("team/a", images, untagged)
	if n := s.dueJobs(lifecycle.NewPruner(s.db, lifecycle.Options{})); n != 1 {
		t.Errorf("%d runs", n)
	}
	s.left("team/a", images[1])
}

// TestIndexesFirst: what an index lists goes in the run after that in which the index goes,
// and that comes soon.
func TestIndexesFirst(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		children := several(2)
		index := registrytest.Recipe{}.Index(children...)
		subject := index.Descriptor()
		signature := registrytest.Recipe{Seed: 9, Subject: &subject}.Image()
		young := registrytest.Recipe{Seed: 10}.Image()
		s.aged("a", append(children, index, signature, young), untagged)
		s.clock.advance(time.Hour)
		s.policy("a", "any sinceImagePushed 1")
		p := lifecycle.NewPruner(s.db, lifecycle.Options{})
		s.dueJobs(p)
		s.left("a", append(children, young)...)
		runs, err := s.db.LifecycleRuns(t.Context(), "a", 0, 10)
		if err != nil || len(runs) != 1 || runs[0].Expired != 2 || runs[0].Blocked != 2 {
			t.Errorf("runs %+v, %v", runs, err)
		}
		s.clock.advance(2 * time.Minute)
		if n := s.scheduled(p); n != 1 {
			t.Errorf("%d runs soon after an index went", n)
		}
		s.left("a", young)
		s.clock.advance(2 * time.Minute)
		if n := s.scheduled(p); n != 0 {
			t.Errorf("%d runs when nothing is left to be done", n)
		}
	})
}

// TestArchivedTogether: an index is archived with what it lists, and with what refers to it.
// What two indexes list is archived with the last of them.
func TestArchivedTogether(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		children := several(3)
		one, two := registrytest.Recipe{}.Index(children[:2]...), registrytest.Recipe{}.Index(children[1:]...)
		subject := one.Descriptor()
		signature := registrytest.Recipe{Seed: 9, Subject: &subject}.Image()
		tag := func(i int) []registry.Tag {
			if i == 3 || i == 4 {
				return numbered(i)
			}
			return nil
		}
		s.aged("a", append(children, one, two, signature), tag)
		s.clock.advance(24 * time.Hour)
		s.policy("a", "tagged sinceImagePulled 1 v* transition")
		run := s.prune("a", lifecycle.Options{})
		if run.Archived != 6 || run.Skipped != 0 {
			t.Errorf("%+v", run)
		}
		page, _, err := s.Images(ctx, "a", registry.ImagesQuery{Class: registry.Archive, Limit: 10})
		if err != nil || len(page) != 6 {
			t.Errorf("%d images are archived, %v", len(page), err)
		}
		events, err := s.db.LifecycleEvents(ctx, "a", 0, 10)
		if err != nil || len(events) != 6 || events[0].Action != lifecycle.Transition {
			t.Errorf("events %+v, %v", events, err)
		}
		_, err = s.SetStorageClass(ctx, "a", registry.ImageID{Tag: "v3"}, registry.Standard)
		want(t, "SetStorageClass", err, nil)
		if again := s.prune("a", lifecycle.Options{}); again.Applied != (lifecycle.Applied{}) {
			t.Errorf("what was restored is archived again: %+v", again)
		}
	})
}

// TestImmutableTagsGo: that a tag stays with its image keeps neither.
func TestImmutableTagsGo(t *testing.T) {
	s := newSite(t, "", open, mem.New())
	_, err := s.CreateRepository(t.Context(), "a", registry.Settings{Mutability: registry.Mutability{Mode: registry.Immutable}})
	want(t, "CreateRepository", err, nil)
	images := several(2)
	s.aged("a", images, numbered)
	s.policy("a", "tagged imageCountMoreThan 1 v*")
	s.prune("a", lifecycle.Options{})
	s.left("a", images[1])
}

// TestRunStopped: a run that looks like a mistake does nothing, says so, and can be told to.
func TestRunStopped(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		images := several(12)
		s.aged("a", images, untagged)
		s.clock.advance(48 * time.Hour)
		s.policy("a", "any sinceImagePushed 1")
		run := s.prune("a", lifecycle.Options{})
		s.left("a", images...)
		if run.State != lifecycle.Stopped || !strings.Contains(run.Reason, "12 of 12 images") || run.Images != 12 {
			t.Errorf("%+v", run)
		}
		if p, err := s.LifecyclePolicy(t.Context(), "a"); err != nil || p.EvaluatedAt.IsZero() {
			t.Errorf("%+v, %v", p, err)
		}
		run, err := lifecycle.NewPruner(s.db, lifecycle.Options{}).RunNow(t.Context(), "a", true)
		if err != nil || run.State != lifecycle.Done || !run.Forced || run.Expired != 12 {
			t.Errorf("%+v, %v", run, err)
		}
		s.left("a")
	})
}

// TestUnreadablePolicy: a policy that another version of berth has taken stops its runs until
// it is put anew.
func TestUnreadablePolicy(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		images := several(1)
		s.aged("a", images, untagged)
		_, err := s.SetLifecyclePolicy(t.Context(), "a", json.RawMessage(`{"rules":[{"rulePriority":1,"from":"the future"}]}`))
		want(t, "SetLifecyclePolicy", err, nil)
		p := lifecycle.NewPruner(s.db, lifecycle.Options{})
		s.scheduled(p)
		runs, err := s.db.LifecycleRuns(t.Context(), "a", 0, 10)
		if err != nil || len(runs) != 1 || runs[0].State != lifecycle.Failed || !strings.Contains(runs[0].Reason, "from") {
			t.Errorf("runs %+v, %v", runs, err)
		}
		s.clock.advance(48 * time.Hour)
		if n := s.scheduled(p); n != 0 {
			t.Errorf("%d runs of a policy that cannot be read", n)
		}
		s.policy("a", "untagged imageCountMoreThan 1")
		if n := s.scheduled(p); n != 1 {
			t.Errorf("%d runs of a policy that can", n)
		}
	})
}

// TestTagsExpire: of images that stay only tags go, and the policy's own limit counts them.
func TestTagsExpire(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		images := several(3)
		s.aged("a", images, func(i int) []registry.Tag {
			return append(numbered(i), registry.Tag("pr-"+string(numbered(i)[0])))
		})
		policy := func(limit string) json.RawMessage {
			return json.RawMessage(`{"berth":{"maxDeletes":` + limit + `},"rules":[{"rulePriority":3,"selection":{"tagStatus":"tagged",
				"tagPatternList":["pr-*"],"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"},"berth":{"tagsOnly":true}}]}`)
		}
		_, err := s.SetLifecyclePolicy(ctx, "a", policy("1"))
		want(t, "SetLifecyclePolicy", err, nil)
		run := s.prune("a", lifecycle.Options{Limit: lifecycle.Limit{Off: true}})
		if run.State != lifecycle.Stopped || !strings.Contains(run.Reason, "maxDeletes") {
			t.Errorf("%+v", run)
		}
		_, err = s.SetLifecyclePolicy(ctx, "a", policy("2"))
		want(t, "SetLifecyclePolicy", err, nil)
		run = s.prune("a", lifecycle.Options{Limit: lifecycle.Limit{Images: 1}})
		if run.State != lifecycle.Done || run.Applied != (lifecycle.Applied{Untagged: 2}) {
			t.Errorf("%+v", run)
		}
		s.left("a", images...)
		tags, err := s.Tags(ctx, "a", "", 10)
		if diff := cmp.Diff([]registry.Tag{"pr-v2", "v0", "v1", "v2"}, tags); err != nil || diff != "" {
			t.Errorf("tags (-want +got), %v:\n%s", err, diff)
		}
		events, err := s.db.LifecycleEvents(ctx, "a", 0, 10)
		if err != nil || len(events) != 2 || len(events[0].Tags) != 1 {
			t.Errorf("events %+v, %v", events, err)
		}
	})
}
