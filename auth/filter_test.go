package auth

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"berth/registry"
)

func TestFilterIsAPlainFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringMatching(`[a-c]{1,3}(/[a-c]{1,2})?`), rapid.ID).Draw(t, "names")
		slices.Sort(names)
		patterns := rapid.SliceOfN(rapid.StringMatching(`[a-c]{0,2}/?[a-c]?\*?`), 1, 4).Draw(t, "patterns")
		last := rapid.StringMatching(`[a-c]{0,3}`).Draw(t, "last")
		limit := rapid.IntRange(1, 5).Draw(t, "limit")

		var resources []resource
		for _, p := range patterns {
			name, err := dialect{}.compile(p, true)
			if err != nil {
				t.Fatal(err)
			}
			resources = append(resources, resource{region: "*", account: "*", name: name})
		}
		s := statement{effect: Allow, principals: principals{anyone: true}, resources: resources}
		s.actions.add(actionIndex[BatchGetImage])
		policies := []*Policy{{statements: []statement{s}}}
		checkFilter(t, names, policies, last, limit)
	})
}

// checkFilter compares filter with a loop over all names.
func checkFilter(t *rapid.T, names []string, policies []*Policy, last string, limit int) {
	visible := func(name registry.Name) bool {
		return Decide(Policies{Identity: policies}, Request{Action: BatchGetImage, Repo: name}).Allowed
	}
	list := func(last registry.Name, limit int) ([]registry.Name, error) {
		var page []registry.Name
		for _, n := range names {
			if n > string(last) && len(page) < limit {
				page = append(page, registry.Name(n))
			}
		}
		return page, nil
	}
	var want []registry.Name
	for _, n := range names {
		if n > last && visible(registry.Name(n)) && len(want) < limit {
			want = append(want, registry.Name(n))
		}
	}
	got, err := filter(registry.Name(last), limit, prefixes(policies, &Request{}), visible, list)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q (%v)", got, want, err)
	}
}
