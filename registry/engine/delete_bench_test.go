package engine_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
)

// BenchmarkDeleteImage deletes images with one tag each, and restores them, in repositories of
// more and less tags, which take turns. BERTH_TAGS is how many the larger one has, in place of
// 100,000.
func BenchmarkDeleteImage(b *testing.B) {
	sizes := []int{1000, 100_000}
	if n, err := strconv.Atoi(os.Getenv("BERTH_TAGS")); err == nil {
		sizes[1] = n
	}
	var sites []*site
	for _, size := range sizes {
		s := newSite(b, "", small, mem.New())
		const each = 100
		for i := range size / each {
			var tags []registry.Tag
			for n := range each {
				tags = append(tags, registry.Tag(fmt.Sprintf("t%d-%d", i, n)))
			}
			want(b, "push", s.push(b.Context(), "a", registrytest.Recipe{Seed: uint64(i), Layers: -1}.Image(), tags...), nil)
		}
		sites = append(sites, s)
	}
	seed := uint64(10_000_000)
	for round := range 3 {
		for i, s := range sites {
			// pushed is as many images as are asked for.
			pushed := func(b *testing.B) (images []registrytest.Image) {
				for range b.N {
					seed++
					image := registrytest.Recipe{Seed: seed, Layers: 1}.Image()
					want(b, "push", s.push(b.Context(), "a", image, registry.Tag(fmt.Sprintf("t%d", seed))), nil)
					images = append(images, image)
				}
				return images
			}
			deleteAll := func(b *testing.B, images []registrytest.Image) {
				for _, image := range images {
					want(b, "DeleteManifest", s.DeleteManifest(b.Context(), "a", image.Digest), nil)
				}
			}
			b.Run(fmt.Sprintf("delete/%d/round%d", sizes[i], round), func(b *testing.B) {
				images := pushed(b)
				b.ResetTimer()
				deleteAll(b, images)
			})
			b.Run(fmt.Sprintf("restore/%d/round%d", sizes[i], round), func(b *testing.B) {
				images := pushed(b)
				deleteAll(b, images)
				b.ResetTimer()
				for _, image := range images {
					_, err := s.RestoreImage(b.Context(), "a", byDigest(image), registry.Restoration{})
					want(b, "RestoreImage", err, nil)
				}
			})
		}
	}
}
