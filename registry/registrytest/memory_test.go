package registrytest

import (
	"testing"

	"berth/registry"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) registry.Registry { return NewMemory() })
}

func TestClosedMemory(t *testing.T) {
	RunClosed(t, func(_ *testing.T, there registry.Name) registry.Registry {
		m := NewMemory()
		m.ensure(there)
		m.Closed = true
		return m
	})
}

// TestRecipesAreDeterministic also checks that seeds share nothing.
func TestRecipesAreDeterministic(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(5) {
		image := Recipe{Seed: seed}.Image()
		if again := (Recipe{Seed: seed}).Image(); again.Digest != image.Digest {
			t.Errorf("seed %d makes %s and %s", seed, image.Digest, again.Digest)
		}
		for _, b := range image.Blobs {
			if seen[string(b.Digest)] {
				t.Errorf("seed %d makes a blob that another has", seed)
			}
			seen[string(b.Digest)] = true
		}
	}
}
