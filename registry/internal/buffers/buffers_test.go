package buffers

import "testing"

// TestPool lets many come and go.
func TestPool(t *testing.T) {
	const large = 256 << 10
	p := New(large)
	sizes := map[int]int{}
	var puts []func()
	for range 200 {
		buf, put := p.Get()
		sizes[len(buf)]++
		puts = append(puts, put)
	}
	if sizes[large] != many || sizes[small] != 200-many {
		t.Errorf("buffers by size: %v", sizes)
	}
	for _, put := range puts {
		put()
	}
	if buf, _ := p.Get(); len(buf) != large {
		t.Errorf("when the others are gone, one has %d bytes", len(buf))
	}
}
