package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"berth/registry"
	"berth/registry/registrytest"
)

// TestRestoreTags: tags that are free come back, others on demand.
func TestRestoreTags(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		image, other := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		for _, test := range []struct {
			name        string
			how         registry.Restoration
			immutable   bool
			tags, taken []registry.Tag
			err         error
		}{
			{name: "free", tags: []registry.Tag{"b"}, taken: []registry.Tag{"a"}},
			{name: "moved", how: registry.Restoration{MoveTags: true}, tags: []registry.Tag{"a", "b"}},
			{name: "immutable", how: registry.Restoration{MoveTags: true}, immutable: true, tags: []registry.Tag{"b"}, taken: []registry.Tag{"a"}},
			{name: "chosen", how: registry.Restoration{Tags: []registry.Tag{"b"}}, tags: []registry.Tag{"b"}},
			{name: "chosen and moved", how: registry.Restoration{Tags: []registry.Tag{"a"}, MoveTags: true}, tags: []registry.Tag{"a"}},
			{name: "wrong", how: registry.Restoration{Tags: []registry.Tag{"c"}}, err: registry.ErrTagMismatch},
		} {
			repo := registry.Name("r/" + string(test.name[0]) + fmt.Sprint(len(test.name)))
			want(t, "push", s.push(ctx, repo, image, "a", "b"), nil)
			want(t, "DeleteManifest", s.DeleteManifest(ctx, repo, image.Digest), nil)
			want(t, "push", s.push(ctx, repo, other, "a"), nil)
			if test.immutable {
				_, err := s.ChangeSettings(ctx, repo, func(s *registry.Settings) error { s.Mutability.Mode = registry.Immutable; return nil })
				want(t, "ChangeSettings", err, nil)
			}
			done, err := s.RestoreImage(ctx, repo, byDigest(image), test.how)
			want(t, test.name, err, test.err)
			if err != nil {
				continue
			}
			var tags, taken []registry.Tag
			for _, id := range done.Tags {
				tags = append(tags, id.Tag)
			}
			for _, id := range done.Taken {
				taken = append(taken, id.Tag)
				if id.Digest != other.Digest {
					t.Errorf("%s: %s is said to be on %s", test.name, id.Tag, id.Digest)
				}
			}
			if !slices.Equal(tags, test.tags) || !slices.Equal(taken, test.taken) || !slices.Equal(done.Image.Tags, test.tags) {
				t.Errorf("%s: the tags %v (%v) are back and %v taken", test.name, tags, done.Image.Tags, taken)
			}
		}
	})
}
