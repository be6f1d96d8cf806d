package engine

import "testing"

// TestBuffers lets many pushes come and go.
func TestBuffers(t *testing.T) {
	var b buffers
	sizes := map[int]int{}
	var puts []func()
	for range 200 {
		buf, put := b.get()
		sizes[len(buf)]++
		puts = append(puts, put)
	}
	if sizes[bufferSize] != manyPushes || sizes[smallBufferSize] != 200-manyPushes {
		t.Errorf("buffers by size: %v", sizes)
	}
	for _, put := range puts {
		put()
	}
	if buf, _ := b.get(); len(buf) != bufferSize {
		t.Errorf("when the others are gone, a push reads %d bytes at once", len(buf))
	}
}
