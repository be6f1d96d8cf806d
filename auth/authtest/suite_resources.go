package authtest

import (
	"testing"

	"berth/auth"
	"berth/registry"
)

func testResources(t *testing.T, s auth.Store, r Resources) {
	ctx := t.Context()
	tags := map[string]string{"team": "blue"}
	rules := func(repo registry.Name, expected auth.ResourceRules) {
		t.Helper()
		got, err := s.Resource(ctx, repo)
		want(t, "Resource", err, nil)
		if expected.Repository = repo; len(got.Tags) == 0 {
			got.Tags = nil
		}
		same(t, got, expected)
	}
	last, err := s.Generation(ctx)
	want(t, "Generation", err, nil)
	moves := func(what string, err error) {
		t.Helper()
		want(t, what, err, nil)
		now, err := s.Generation(ctx)
		want(t, "Generation", err, nil)
		if now <= last {
			t.Errorf("the generation went from %d to %d on %s", last, now, what)
		}
		last = now
	}
	rules("a", auth.ResourceRules{})
	rules("", auth.ResourceRules{})

	moves("SetRegistryPolicy", r.SetRegistryPolicy(ctx, "registry"))
	rules("a", auth.ResourceRules{Registry: "registry"})
	rules("", auth.ResourceRules{Registry: "registry"})
	moves("SetRepository", r.SetRepository(ctx, "a", "own", nil))
	rules("a", auth.ResourceRules{Policy: "own", Registry: "registry"})
	moves("SetRepository with tags", r.SetRepository(ctx, "a", "own", tags))
	rules("a", auth.ResourceRules{Policy: "own", Tags: tags, Registry: "registry"})
	rules("b", auth.ResourceRules{Registry: "registry"})
	moves("SetRegistryPolicy anew", r.SetRegistryPolicy(ctx, "another"))
	rules("a", auth.ResourceRules{Policy: "own", Tags: tags, Registry: "another"})
	moves("SetRegistryPolicy to none", r.SetRegistryPolicy(ctx, ""))
	rules("a", auth.ResourceRules{Policy: "own", Tags: tags})
	moves("SetRepository to tags alone", r.SetRepository(ctx, "a", "", tags))
	rules("a", auth.ResourceRules{Tags: tags})
	moves("DeleteRepository", r.DeleteRepository(ctx, "a"))
	rules("a", auth.ResourceRules{})

	want(t, "SetRepository", r.SetRepository(ctx, "a", "own", tags), nil)
	moves("SetRepository to nothing", r.SetRepository(ctx, "a", "", nil))
	rules("a", auth.ResourceRules{})
}

func testResourcePages(t *testing.T, s auth.Store, r Resources) {
	ctx := t.Context()
	list := func(after registry.Name, limit int, tagged bool, expected ...registry.Name) []auth.ResourceRules {
		t.Helper()
		page, err := s.Resources(ctx, after, limit, tagged)
		want(t, "Resources", err, nil)
		var names []registry.Name
		for _, p := range page {
			names = append(names, p.Repository)
		}
		same(t, names, expected)
		return page
	}
	list("", 10, true)
	want(t, "SetRegistryPolicy", r.SetRegistryPolicy(ctx, "registry"), nil)
	for _, name := range []registry.Name{"b", "a/b", "a-b", "plain", "c"} {
		policy, tags := "of "+string(name), map[string]string(nil)
		switch name {
		case "plain":
			policy = ""
		case "c":
			policy, tags = "", map[string]string{"team": "blue"}
		}
		want(t, "SetRepository", r.SetRepository(ctx, name, policy, tags), nil)
	}
	page := list("", 10, true, "a-b", "a/b", "b", "c")
	same(t, page[1], auth.ResourceRules{Repository: "a/b", Policy: "of a/b"})
	same(t, page[3], auth.ResourceRules{Repository: "c", Tags: map[string]string{"team": "blue"}})
	list("", 10, false, "a-b", "a/b", "b")
	list("", 2, true, "a-b", "a/b")
	list("a/b", 2, true, "b", "c")
	list("a/b", 2, false, "b")
	list("c", 2, true)
}
