package engine_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/gc"
)

// told is what the history of a repository says of its tags, the oldest first.
func (s *site) told(repo registry.Name, t registry.Tag) (all []registry.TagChange) {
	s.t.Helper()
	for last := int64(0); ; {
		page, err := s.TagHistory(context.Background(), repo, registry.TagHistoryQuery{Tag: t, Last: last, Limit: 2})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, c := range page {
			last, c.ID, c.At = c.ID, 0, time.Time{}
			all = append(all, c)
		}
		if len(page) < 2 {
			slices.Reverse(all)
			return all
		}
	}
}

// TestTagHistory moves tags in every way there is.
func TestTagHistory(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ann, bob := registry.Cause{By: "ann"}, registry.Cause{By: "bob", Why: "rule 1"}
		ctx, byBob := registry.WithCause(t.Context(), ann), registry.WithCause(t.Context(), bob)
		one, two := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		var expected []registry.TagChange
		change := func(tag registry.Tag, was, now digest.Digest, cause registry.Cause) {
			expected = append(expected, registry.TagChange{Tag: tag, Was: was, Digest: now, Cause: cause})
		}
		ann.Why = "the image was deleted"

		want(t, "push", s.push(ctx, "a", one, "x", "y"), nil)
		change("x", "", one.Digest, registry.Cause{By: "ann"})
		change("y", "", one.Digest, registry.Cause{By: "ann"})
		want(t, "the same again", s.push(byBob, "a", one, "x"), nil)
		want(t, "push", s.push(byBob, "a", two), nil)
		_, err := s.PutImage(byBob, "a", two.Manifest, "x")
		want(t, "PutImage", err, nil)
		change("x", one.Digest, two.Digest, bob)
		_, err = s.PutImage(byBob, "a", two.Manifest, "x")
		want(t, "PutImage again", err, registry.ErrImageExists)
		want(t, "DeleteTag", s.DeleteTag(byBob, "a", "x"), nil)
		change("x", two.Digest, "", bob)
		_, err = s.DeleteImage(ctx, "a", registry.ImageID{Tag: "y"})
		want(t, "DeleteImage", err, nil)
		change("y", one.Digest, "", ann)
		want(t, "push", s.push(ctx, "a", two, "x"), nil)
		change("x", "", two.Digest, registry.Cause{By: "ann"})
		want(t, "DeleteRepository", s.DeleteRepository(byBob, "a", true), nil)
		change("x", two.Digest, "", bob)
		_, err = s.RestoreImage(ctx, "a", registry.ImageID{Tag: "x"}, registry.Restoration{})
		want(t, "RestoreImage", err, nil)
		change("x", "", two.Digest, registry.Cause{By: "ann", Why: "restore"})
		_, _, err = s.RollbackTag(ctx, "a", "x", registry.RollbackTarget{})
		want(t, "RollbackTag", err, nil)
		change("x", two.Digest, one.Digest, registry.Cause{By: "ann", Why: "rollback"})
		want(t, "push elsewhere", s.push(ctx, "b", one, "x"), nil)

		if diff := cmp.Diff(expected, s.told("a", "")); diff != "" {
			t.Errorf("all tags (-want +got):\n%s", diff)
		}
		expected = slices.DeleteFunc(expected, func(c registry.TagChange) bool { return c.Tag != "x" })
		if diff := cmp.Diff(expected, s.told("a", "x")); diff != "" {
			t.Errorf("one tag (-want +got):\n%s", diff)
		}
	})
}

// TestTagAt asks where a tag pointed, also before what is known.
func TestTagAt(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		one, two := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		start := s.clock.now()
		at := func(hour int) time.Time { return start.Add(time.Duration(hour) * time.Hour) }
		pointed := func(tag registry.Tag, hour int, expected digest.Digest, known bool) {
			t.Helper()
			c, err := s.TagAt(ctx, "a", tag, at(hour))
			if expected == "" {
				want(t, "TagAt", err, registry.ErrManifestUnknown)
				return
			}
			want(t, "TagAt", err, nil)
			if c.Digest != expected || c.At.IsZero() == known || c.At.After(at(hour)) {
				t.Errorf("at hour %d %s pointed at %s since %s; want %s", hour, tag, c.Digest, c.At, expected)
			}
		}
		s.clock.advance(time.Hour)
		want(t, "push", s.push(ctx, "a", one, "x", "old"), nil)
		s.clock.advance(2 * time.Hour) // 3
		want(t, "push", s.push(ctx, "a", two, "x"), nil)
		s.clock.advance(2 * time.Hour) // 5
		want(t, "DeleteTag", s.DeleteTag(ctx, "a", "x"), nil)
		s.clock.advance(2 * time.Hour) // 7
		want(t, "push", s.push(ctx, "a", two, "x"), nil)
		for hour, d := range []digest.Digest{"", one.Digest, one.Digest, two.Digest, two.Digest, "", "", two.Digest, two.Digest} {
			pointed("x", hour, d, true)
		}
		pointed("none", 7, "", true)

		// What is older than three hours is forgotten.
		run, err := gc.NewSweeper(s.db, gc.Options{TagHistory: 3 * time.Hour}).Sweep(ctx)
		if err != nil || run.TagChanges != 3 {
			t.Errorf("forgotten were %d changes (%v)", run.TagChanges, err)
		}
		pointed("x", 4, two.Digest, false)
		pointed("x", 5, "", true)
		pointed("x", 7, two.Digest, true)
		pointed("old", 7, one.Digest, false)
		if run, err = gc.NewSweeper(s.db, gc.Options{}).Sweep(ctx); err != nil || run.TagChanges != 0 || len(s.told("a", "")) != 2 {
			t.Errorf("forgotten were %d changes (%v) where they are kept for ever", run.TagChanges, err)
		}
	})
}

// TestRollback takes a tag back and forth.
func TestRollback(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		one, two, three := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image(), registrytest.Recipe{Seed: 3}.Image()
		begin := s.clock.now()
		for _, image := range []registrytest.Image{one, two, three} {
			want(t, "push", s.push(ctx, "a", image, "x"), nil)
			s.clock.advance(time.Hour)
		}
		back := func(what string, to registry.RollbackTarget, was, now registrytest.Image, restores bool) {
			t.Helper()
			c, restored, err := s.RollbackTag(ctx, "a", "x", to)
			want(t, what, err, nil)
			d, err := s.StatManifest(ctx, "a", registry.Reference{Tag: "x"})
			if err != nil || d.Digest != now.Digest || c.Was != was.Digest || c.Digest != now.Digest || restored.New != restores || c.Why != "rollback" {
				t.Errorf("%s: from %s to %s, really %s (%v), restored: %v", what, c.Was, c.Digest, d.Digest, err, restored.New)
			}
		}
		refused := func(what string, tag registry.Tag, to registry.RollbackTarget, kind error) {
			t.Helper()
			_, _, err := s.RollbackTag(ctx, "a", tag, to)
			want(t, what, err, kind)
		}
		back("to the one before", registry.RollbackTarget{}, three, two, false)
		back("and back", registry.RollbackTarget{}, two, three, false)
		back("to a digest", registry.RollbackTarget{Digest: one.Digest}, three, one, false)
		back("to a time", registry.RollbackTarget{At: begin.Add(90 * time.Minute)}, one, two, false)
		refused("to where it points", "x", registry.RollbackTarget{Digest: two.Digest}, registry.ErrImageExists)
		refused("to before it was", "x", registry.RollbackTarget{At: begin.Add(-time.Hour)}, registry.ErrManifestUnknown)
		refused("to nothing", "y", registry.RollbackTarget{}, registry.ErrManifestUnknown)
		refused("to what never was", "x", registry.RollbackTarget{Digest: digest.FromString("")}, registry.ErrManifestUnknown)

		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", two.Digest), nil) // the tag goes with it
		back("to a deleted image", registry.RollbackTarget{}, registrytest.Image{}, two, true)
		want(t, "the image", s.whole("a", two), nil)
		want(t, "push", s.push(ctx, "a", three, "x", "z"), nil)
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", three.Digest), nil)
		want(t, "push", s.push(ctx, "a", two, "x"), nil)
		back("to a deleted image with another tag", registry.RollbackTarget{}, two, three, true)
		_, err := s.StatManifest(ctx, "a", registry.Reference{Tag: "z"})
		want(t, "that tag", err, registry.ErrManifestUnknown)

		_, err = s.ChangeSettings(ctx, "a", func(s *registry.Settings) error { s.Mutability.Mode = registry.Immutable; return nil })
		want(t, "ChangeSettings", err, nil)
		refused("an immutable tag", "x", registry.RollbackTarget{}, registry.ErrTagFixed)
		want(t, "DeleteTag", s.DeleteTag(ctx, "a", "x"), nil)
		back("one that is free", registry.RollbackTarget{Digest: one.Digest}, registrytest.Image{}, one, false)

		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", two.Digest), nil)
		s.clock.advance(gc.DefaultGrace + time.Minute)
		s.sweep()
		want(t, "DeleteTag", s.DeleteTag(ctx, "a", "x"), nil)
		refused("to an image that is gone", "x", registry.RollbackTarget{Digest: two.Digest}, registry.ErrManifestUnknown)
	})
}

// TestTagHistoryRace has many move one tag: each change takes up where another one ended.
func TestTagHistoryRace(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		const movers, rounds = 6, 20
		var images []registrytest.Image
		for i := range movers {
			images = append(images, registrytest.Recipe{Seed: uint64(i + 1)}.Image())
			want(t, "push", s.push(t.Context(), "a", images[i]), nil)
		}
		var wg sync.WaitGroup
		for i := range movers {
			wg.Go(func() {
				for n := range rounds {
					if _, err := s.PutManifest(t.Context(), "a", images[i].Manifest, []registry.Tag{"x"}); err != nil {
						t.Errorf("PutManifest: %v", err)
					}
					if n%5 == 4 {
						_ = s.DeleteTag(t.Context(), "a", "x") // somebody else may have been faster
					}
				}
			})
		}
		wg.Wait()
		var now digest.Digest
		for i, c := range s.told("a", "x") {
			if c.Was != now || c.Digest == now {
				t.Errorf("change %d is from %q to %q, the one before ended with %q", i, c.Was, c.Digest, now)
			}
			now = c.Digest
		}
		d, err := s.StatManifest(t.Context(), "a", registry.Reference{Tag: "x"})
		if err == nil && d.Digest != now || err != nil && now != "" {
			t.Errorf("the tag is on %s (%v), the history ends with %q", d.Digest, err, now)
		}
	})
}

// TestForgetManyTagChanges: more than a batch goes in one sweep.
func TestForgetManyTagChanges(t *testing.T) {
	s := newSite(t, "", engine.Options{CreateOnPush: true}, mem.New())
	image := registrytest.Recipe{Seed: 1, Layers: -1}.Image()
	var tags []registry.Tag
	for i := range 130 {
		tags = append(tags, registry.Tag("t"+digest.FromString(string(rune(i))).Encoded()[:20]))
	}
	want(t, "push", s.push(t.Context(), "a", image, tags...), nil)
	s.clock.advance(time.Hour)
	want(t, "push", s.push(t.Context(), "a", image, "young"), nil)
	run, err := gc.NewSweeper(s.db, gc.Options{TagHistory: time.Minute}).Sweep(t.Context())
	if err != nil || run.TagChanges != len(tags) || len(s.told("a", "")) != 1 {
		t.Errorf("%d changes went (%v)", run.TagChanges, err)
	}
}
