package s3

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const pieceSize = 64 << 10

// piece is the unit in which memory is taken and given back.
type piece [pieceSize]byte

// arena is where pieces lie: memory that the garbage collector does not know of. To the
// collector, what is in use would be a reason to let twice as much garbage pile up
// beside it.
type arena struct {
	mu     sync.Mutex
	memory []byte // as far as it has never been used, it takes up none
	carved int    // pieces that have been taken from memory
	free   []*piece
	idle   *time.Timer // nil unless all pieces are back
	closed bool
	late   sync.WaitGroup // pieces that somebody still reads
}

// idleAfter is how long an arena that nobody uses keeps its memory.
const idleAfter = 20 * time.Second

func newArena(size int64) (*arena, error) {
	memory, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	return &arena{memory: memory}, nil
}

// get hands out a piece with any bytes in it.
func (a *arena) get() *piece {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.idle != nil {
		a.idle.Stop()
		a.idle = nil
	}
	if n := len(a.free); n > 0 {
		p := a.free[n-1]
		a.free = a.free[:n-1]
		return p
	}
	if at := a.carved * pieceSize; at+pieceSize <= len(a.memory) {
		a.carved++
		return (*piece)(unsafe.Pointer(&a.memory[at]))
	}
	// The pool grants no more than there is, but some may still be on their way back.
	return new(piece)
}

// put takes pieces back. Nobody may read them any more: the next get may hand them out.
func (a *arena) put(pieces []*piece) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range pieces {
		if a.owns(p) {
			a.free = append(a.free, p)
		}
	}
	if len(a.free) == a.carved && a.carved > 0 && a.idle == nil && !a.closed {
		a.idle = time.AfterFunc(idleAfter, a.trim)
	}
}

func (a *arena) owns(p *piece) bool {
	at := uintptr(unsafe.Pointer(p))
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(a.memory)))
	return at >= begin && at < begin+uintptr(len(a.memory))
}

// trim gives the memory of an arena that nobody uses back to the system.
func (a *arena) trim() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.free) == a.carved && !a.closed && unix.Madvise(a.memory, unix.MADV_DONTNEED) == nil {
		a.free, a.carved = nil, 0
	}
	a.idle = nil
}

// close frees everything, unless somebody still holds a piece.
func (a *arena) close() {
	a.late.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.closed = true
	if a.idle != nil {
		a.idle.Stop()
	}
	if len(a.free) == a.carved {
		a.free, a.carved = nil, 0
		unix.Munmap(a.memory)
		a.memory = nil
	}
}
