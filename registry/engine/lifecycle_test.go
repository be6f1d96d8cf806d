package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/registrytest"
)

// rules writes a policy of rules, each such as "untagged sinceImagePushed 1" or
// "tagged imageCountMoreThan 2 v*", with the action transition if that stands at its end.
func rules(list ...string) json.RawMessage {
	type object = map[string]any
	var all []object
	for i, text := range list {
		words := strings.Fields(text)
		selection := object{"tagStatus": words[0], "countType": words[1], "countNumber": json.Number(words[2])}
		action := object{"type": "expire"}
		if words[1] != "imageCountMoreThan" {
			selection["countUnit"] = "days"
		}
		if words[1] == "sinceImageTransitioned" {
			selection["storageClass"] = "archive"
		}
		for _, word := range words[3:] {
			if word == "transition" {
				action = object{"type": word, "targetStorageClass": "archive"}
			} else {
				selection["tagPatternList"] = []string{word}
			}
		}
		all = append(all, object{"rulePriority": i + 1, "selection": selection, "action": action})
	}
	text, err := json.Marshal(object{"rules": all})
	if err != nil {
		panic(err)
	}
	return text
}

// policy gives a repository a policy, and does not have it applied.
func (s *site) policy(repo registry.Name, list ...string) {
	s.t.Helper()
	_, err := s.SetLifecyclePolicy(context.Background(), repo, rules(list...))
	want(s.t, "SetLifecyclePolicy", err, nil)
}

// prune applies the policy of a repository.
func (s *site) prune(repo registry.Name, opts lifecycle.Options) lifecycle.Run {
	s.t.Helper()
	run, err := lifecycle.NewPruner(s.db, opts).RunNow(context.Background(), repo, false)
	want(s.t, "RunNow", err, nil)
	return run
}

// left compares the images of a repository, archived or not, with those there should be.
func (s *site) left(repo registry.Name, images ...registrytest.Image) {
	s.t.Helper()
	page, more, err := s.Images(context.Background(), repo, registry.ImagesQuery{Limit: 1000})
	want(s.t, "Images", err, nil)
	if more {
		s.t.Fatal("there are more images than a test has")
	}
	var got, expected []digest.Digest
	for _, image := range page {
		got = append(got, image.Digest)
	}
	for _, image := range images {
		expected = append(expected, image.Digest)
	}
	slices.Sort(expected)
	if diff := cmp.Diff(expected, got); diff != "" {
		s.t.Errorf("images of %s (-want +got):\n%s", repo, diff)
	}
}

// aged pushes images a day apart, the last of them just now.
func (s *site) aged(repo registry.Name, images []registrytest.Image, tag func(i int) []registry.Tag) {
	s.t.Helper()
	for i, image := range images {
		s.clock.advance(24 * time.Hour)
		want(s.t, "push", s.push(context.Background(), repo, image, tag(i)...), nil)
	}
}

func numbered(i int) []registry.Tag { return []registry.Tag{registry.Tag(fmt.Sprintf("v%d", i))} }

func untagged(int) []registry.Tag { return nil }

// several are n images that share nothing.
func several(n int) (all []registrytest.Image) {
	for i := range n {
		all = append(all, registrytest.Recipe{Seed: uint64(100 + i), Layers: 1}.Image())
	}
	return all
}

// TestRun: what a policy says goes, and is remembered.
func TestRun(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		images := several(5)
		s.aged("a", images, numbered)
		s.policy("a", "tagged imageCountMoreThan 2 v*")
		run := s.prune("a", lifecycle.Options{})
		s.left("a", images[3:]...)
		want := lifecycle.Run{
			ID: run.ID, Repository: "a", RepositoryID: run.RepositoryID, State: lifecycle.Done, Attempts: 1, Images: 5,
			Applied: lifecycle.Applied{Expired: 3}, BeganAt: s.clock.now().UTC().Truncate(time.Microsecond), EndedAt: s.clock.now().UTC().Truncate(time.Microsecond),
		}
		if diff := cmp.Diff(want, run); diff != "" {
			t.Errorf("the run (-want +got):\n%s", diff)
		}
		runs, err := s.db.LifecycleRuns(ctx, "a", 0, 10)
		if diff := cmp.Diff([]lifecycle.Run{want}, runs); err != nil || diff != "" {
			t.Errorf("runs (-want +got), %v:\n%s", err, diff)
		}
		events, err := s.db.LifecycleEvents(ctx, "a", 0, 10)
		if err != nil || len(events) != 3 {
			t.Fatalf("events %v, %v", events, err)
		}
		last := events[0]
		expected := lifecycle.Event{
			ID: last.ID, Run: run.ID, Repository: "a", Digest: images[0].Digest, Tags: numbered(0), Rule: 1, Action: lifecycle.Expire,
			Why: "rule 1: it was the 5th youngest", At: run.EndedAt,
		}
		if diff := cmp.Diff(expected, last); diff != "" {
			t.Errorf("the last event (-want +got):\n%s", diff)
		}
		p, err := s.LifecyclePolicy(ctx, "a")
		if err != nil || !p.EvaluatedAt.Equal(run.EndedAt) {
			t.Errorf("evaluated at %v, %v", p.EvaluatedAt, err)
		}
		if err := s.clean(4); err != nil {
			t.Error(err)
		}
		if again := s.prune("a", lifecycle.Options{}); again.Applied != (lifecycle.Applied{}) {
			t.Errorf("the second run: %+v", again)
		}
	})
}
