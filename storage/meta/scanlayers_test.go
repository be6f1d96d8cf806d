package meta_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"berth/registry"
)

// TestLayers keeps what was found in layers for a while.
func TestLayers(t *testing.T) {
	onBothScanSites(t, func(s *scanSite) {
		for i := range 4 {
			s.must(s.db.PutLayer(s.ctx, fmt.Sprint("k", i), make([]byte, 100)))
		}
		s.must(s.db.PutLayer(s.ctx, "k3", []byte("again")))
		if content, err := s.db.Layer(s.ctx, "k3"); err != nil || string(content) != "again" {
			t.Errorf("the layer is %q, %v", content, err)
		}
		if _, err := s.db.Layer(s.ctx, "none"); !errors.Is(err, registry.ErrNotSet) {
			t.Errorf("of no layer: %v", err)
		}
		missing, err := s.db.MissingLayers(s.ctx, []string{"x", "k1", "y"})
		s.must(err)
		if !slices.Equal(missing, []string{"x", "y"}) {
			t.Errorf("missing are %v", missing)
		}
		forget := func(age time.Duration, size int64, limit, want int) {
			t.Helper()
			if n, err := s.db.ForgetLayers(s.ctx, age, size, limit); err != nil || n != want {
				t.Errorf("%d are forgotten, want %d: %v", n, want, err)
			}
		}
		forget(time.Hour, 1000, 10, 0)
		forget(time.Hour, 210, 10, 1) // 305 bytes are there
		forget(-time.Hour, 1000, 2, 2)
		forget(time.Hour, 0, 10, 1)
	})
}
