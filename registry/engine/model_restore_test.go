package engine_test

import (
	"pgregory.net/rapid"

	"berth/registry"
)

// restoreImage restores an image, and mostly one that was deleted.
func (m *machine) restoreImage(t *rapid.T) {
	repo, d := pick(t, "repo", modelRepos), pick(t, "image", modelImages).Digest
	if deleted := m.model.Deleted(repo); len(deleted) > 0 && rapid.Bool().Draw(t, "deleted") {
		d = pick(t, "which", deleted)
	}
	_, got := m.engine.RestoreImage(t.Context(), repo, registry.ImageID{Digest: d}, registry.Restoration{})
	if want := m.model.Restore(repo, d); kind(t, got) != want {
		t.Fatalf("RestoreImage: %v, want %v", got, want)
	}
}
