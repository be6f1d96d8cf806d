package engine

import (
	"sync"
	"sync/atomic"
)

// A push reads so much at once: enough that system calls do not count, little enough
// that the bytes are still in the cache when they are hashed. It holds its buffer while
// it waits, for its client or for memory, so when there are many pushes those that come
// later read less at once.
const (
	bufferSize      = 256 << 10
	smallBufferSize = 32 << 10
	manyPushes      = 32
)

// buffers are what the pushes of a registry read into.
type buffers struct {
	large, small sync.Pool
	taken        atomic.Int64 // large ones
}

// get returns a buffer, and what gives it back.
func (b *buffers) get() (buf []byte, put func()) {
	if b.taken.Add(1) <= manyPushes {
		large, ok := b.large.Get().(*[bufferSize]byte)
		if !ok {
			large = new([bufferSize]byte)
		}
		return large[:], func() {
			b.large.Put(large)
			b.taken.Add(-1)
		}
	}
	b.taken.Add(-1)
	small, ok := b.small.Get().(*[smallBufferSize]byte)
	if !ok {
		small = new([smallBufferSize]byte)
	}
	return small[:], func() { b.small.Put(small) }
}
