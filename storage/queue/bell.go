package queue

import "sync"

// Bell wakes all who wait for it. The zero Bell works.
type Bell struct {
	mu   sync.Mutex
	rung chan struct{}
}

// C is closed when the bell rings next.
func (b *Bell) C() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

// Ring wakes all who have called C.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}
