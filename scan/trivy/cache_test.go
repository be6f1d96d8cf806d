//go:build goexperiment.jsonv2

package trivy

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/scan"
	"berth/scan/trivy/trivytest"
)

// TestOnlyNewLayersAreOpened scans an image, and then one that adds a layer to it.
func TestOnlyNewLayersAreOpened(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	cache := newMemory()
	base, added := gzipLayer(t, alpine...), gzipLayer(t, npm...)
	first := newTestImage(t, base)
	scanned(t, first, cache)
	second := newTestImage(t, base, added)
	_, findings := scanned(t, second, cache)
	if diff := gocmp.Diff([]digest.Digest{digest.FromBytes(added.content)}, second.opened); diff != "" {
		t.Errorf("layers opened of an image of which one was known (-want +got):\n%s", diff)
	}
	third := newTestImage(t, base, added)
	_, again := scanned(t, third, cache)
	if len(third.opened) != 0 {
		t.Errorf("%q were opened though all were known", third.opened)
	}
	_, cold := scanned(t, newTestImage(t, base, added), newMemory())
	for name, other := range map[string][]scan.Finding{"again": again, "without a cache": cold} {
		if diff := gocmp.Diff(findings, other); diff != "" || len(findings) == 0 {
			t.Errorf("findings differ %s:\n%s", name, diff)
		}
	}
}

// TestLayersOfAnyKind has the same layer twice, and one whose digest is a sha512.
func TestLayersOfAnyKind(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	l := gzipLayer(t, npm...)
	_, want := scanned(t, newTestImage(t, l), newMemory())
	_, twice := scanned(t, newTestImage(t, l, l), newMemory())
	if diff := gocmp.Diff(want, twice); diff != "" || len(want) == 0 {
		t.Errorf("findings differ with the same layer again:\n%s", diff)
	}

	i := newTestImage(t, l)
	d := digest.SHA512.FromBytes(l.content)
	i.blobs[d] = l.content
	i.Manifest = bytes.ReplaceAll(i.Manifest, []byte(i.layers[0]), []byte(d))
	_, got := scanned(t, i, newMemory())
	if len(got) != len(want) || got[0].Package.Layer != d {
		t.Errorf("of a layer with a sha512 there are %d findings of %d: %v", len(got), len(want), got)
	}
}

// TestCacheCannotBePoisoned scans an image whose configuration claims that a harmless layer
// unpacks to a vulnerable one, or the other way round.
func TestCacheCannotBePoisoned(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	harmless, bad := gzipLayer(t, file{name: "etc/alpine-release", content: "3.10.2\n"}), gzipLayer(t, npm...)
	lie := blob{harmless.mediaType, harmless.content, bad.diffID}
	cache := newMemory()
	if _, err := scanner.Inventory(t.Context(), newTestImage(t, lie).Image, cache); err == nil || !strings.Contains(err.Error(), "the configuration of the image says") {
		t.Errorf("the answer to a lie is %v", err)
	}
	if len(cache.layers) != 0 {
		t.Errorf("%d layers are kept of a lie", len(cache.layers))
	}
	if _, findings := scanned(t, newTestImage(t, bad), cache); len(findings) == 0 {
		t.Error("the vulnerable layer is clean now")
	}
	if _, err := scanner.Inventory(t.Context(), newTestImage(t, lie).Image, cache); err == nil {
		t.Error("a lie about a layer that is known is believed")
	}
	noTemporaryFiles(t)
}

// TestSpoiledCache has a cache that answers nonsense, one that has lost what it said it has,
// and one that keeps nothing.
func TestSpoiledCache(t *testing.T) {
	use(t, trivytest.Database(t, databaseTime), trivytest.JavaIndex(t, databaseTime))
	i := newTestImage(t, gzipLayer(t, alpine...), gzipLayer(t, npm...))
	good := newMemory()
	_, want := scanned(t, i, good)
	nonsense, foreign := newMemory(), newMemory()
	for key := range good.layers {
		nonsense.layers[key] = []byte(`{"SchemaVersion":`)
		foreign.layers[key] = []byte(`{"SchemaVersion":2,"DiffID":"sha256:0000"}`)
	}
	for name, cache := range map[string]scan.LayerCache{
		"nonsense": nonsense, "of another layer": foreign, "forgetful": forgetful{newMemory()}, "full": full{newMemory()},
	} {
		if _, got := scanned(t, i, cache); !slices.EqualFunc(got, want, func(a, b scan.Finding) bool { return a.Key() == b.Key() }) {
			t.Errorf("%s: %d findings, not %d", name, len(got), len(want))
		}
	}
	if _, err := scanner.Inventory(t.Context(), i.Image, away{newMemory()}); !errors.Is(err, errAway) {
		t.Errorf("the answer is %v", err)
	}
}

type forgetful struct{ *memory }

func (forgetful) Missing(context.Context, []string) ([]string, error) { return nil, nil }

type full struct{ *memory }

func (full) PutLayer(context.Context, string, []byte) error { return errors.New("full") }

var errAway = errors.New("away")

type away struct{ *memory }

func (away) Missing(context.Context, []string) ([]string, error) { return nil, errAway }
