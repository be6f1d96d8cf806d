// Package buffers has what is copied through. A large buffer saves system calls; whoever
// waits for a slow client holds one all the while, so when there are many of them, those
// that come later get small ones.
package buffers

import (
	"sync"
	"sync/atomic"
)

const (
	small = 32 << 10
	many  = 32 // large ones in use, from which on they are small
)

// Pool has buffers for one purpose. It is safe for concurrent use.
type Pool struct {
	size         int
	large, small sync.Pool
	taken        atomic.Int64 // large ones
}

// New makes a pool whose large buffers have size bytes.
func New(size int) *Pool { return &Pool{size: size} }

// Get returns a buffer with any bytes in it, and what gives it back.
func (p *Pool) Get() (buf []byte, put func()) {
	if p.taken.Add(1) <= many {
		large := take(&p.large, p.size)
		return *large, func() {
			p.large.Put(large)
			p.taken.Add(-1)
		}
	}
	p.taken.Add(-1)
	little := take(&p.small, small)
	return *little, func() { p.small.Put(little) }
}

func take(from *sync.Pool, size int) *[]byte {
	if buf, ok := from.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, size)
	return &buf
}
