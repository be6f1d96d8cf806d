//go:build goexperiment.jsonv2

package trivy

import (
	"os"
	"testing"

	"berth/scan"
	"berth/scan/trivy/trivytest"
)

// debian is the image of a Debian 12, in one layer.
func debian(t testing.TB) *testImage {
	t.Helper()
	tree, err := os.ReadFile(trivytest.Debian(t))
	if err != nil {
		t.Fatal(err)
	}
	return newTestImage(t, gzipBlob(t, tree))
}

func BenchmarkInventory(b *testing.B) {
	use(b, trivytest.Database(b, databaseTime), trivytest.JavaIndex(b, databaseTime))
	base := debian(b)
	added := newTestImage(b, gzipBlob(b, readFile(b, trivytest.Debian(b))), gzipLayer(b, npm...))
	inventory := func(b *testing.B, i *testImage, cache func() *memory) {
		for b.Loop() {
			if _, err := scanner.Inventory(b.Context(), i.Image, cache()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("Debian", func(b *testing.B) { inventory(b, base, newMemory) })
	b.Run("Debian and a layer, known", func(b *testing.B) {
		cache := newMemory()
		inventory(b, added, func() *memory { return cache })
	})
	b.Run("a layer on a known Debian", func(b *testing.B) {
		known := newMemory()
		if _, err := scanner.Inventory(b.Context(), base.Image, known); err != nil {
			b.Fatal(err)
		}
		inventory(b, added, func() *memory {
			cache := newMemory()
			for key, content := range known.layers {
				cache.layers[key] = content
			}
			return cache
		})
	})
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func BenchmarkMatch(b *testing.B) {
	use(b, trivytest.Database(b, databaseTime), trivytest.JavaIndex(b, databaseTime))
	inventory, err := scanner.Inventory(b.Context(), debian(b).Image, newMemory())
	if err != nil {
		b.Fatal(err)
	}
	var findings []scan.Finding
	for b.Loop() {
		if findings, err = scanner.Match(b.Context(), inventory.CycloneDX); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(findings)), "findings")
	b.ReportMetric(float64(inventory.Packages), "packages")
	b.ReportMetric(float64(len(inventory.CycloneDX)), "bytes")
}
