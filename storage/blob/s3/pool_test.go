package s3

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/storage/blob"
)

// filler stands for a writer: it fills parts and sends them.
type filler struct {
	*claim
	tail  int64 // of the part
	burst int64 // comes without pauses

	yields atomic.Int64
}

func newFiller(p *pool) *filler { return &filler{claim: &claim{pool: p, key: blob.NewKey()}} }

// fill takes memory for n bytes of a part of this size, with a pause before each piece. It
// yields when it is asked to.
func (f *filler) fill(ctx context.Context, part, n int64, pause time.Duration) error {
	f.begin(part)
	for f.tail < n && ctx.Err() == nil {
		if pause > 0 && f.tail >= f.burst {
			time.Sleep(pause)
		}
		err := f.take(ctx, pieceSize)
		switch {
		case err == nil:
			f.tail += pieceSize
			continue
		case !errors.Is(err, blob.ErrYield):
			return err
		}
		f.yields.Add(1)
		f.drop()
		f.begin(part)
		if f.tail == 0 {
			continue
		}
		if err := f.take(ctx, f.tail); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// send gives the part back after a while, as a request does.
func (f *filler) send(d time.Duration) {
	held := f.pass()
	f.tail = 0
	time.AfterFunc(d, func() { f.pool.put(held) })
}

func checkPool(t *testing.T, p *pool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free != p.limit || p.least < 0 {
		t.Errorf("%d bytes are free in the end, %d at least; of %d", p.free, p.least, p.limit)
	}
	if n := len(p.filling) + len(p.sizes) + len(p.holders) + len(p.others) + len(p.yielded); n != 0 {
		t.Errorf("%d claims are left", n)
	}
}

// TestPoolManyWriters has many more writers than parts fit, of all sizes. They get on
// without anybody yielding.
func TestPoolManyWriters(t *testing.T) {
	p := newPool(MinMemory, time.Hour)
	sizes := []int64{5 << 20, 5 << 20, 5 << 20, 10 << 20, 20 << 20, 40 << 20}
	var group sync.WaitGroup
	for i := range 200 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		group.Go(func() {
			f := newFiller(p)
			for range 5 {
				part := sizes[random.IntN(len(sizes))]
				// Sometimes an object ends within a part, or a client goes away.
				f.burst = part - random.Int64N(1<<20)
				if err := f.fill(t.Context(), part, min(part, 1+random.Int64N(part*3/2)), time.Microsecond); err != nil {
					t.Error(err)
				}
				if random.IntN(4) == 0 {
					f.drop()
					f.tail = 0
				} else {
					f.send(time.Millisecond)
				}
			}
		})
	}
	group.Wait()
	time.Sleep(10 * time.Millisecond)
	checkPool(t, p)
}

// TestPoolSlowWriters has slow writers take all memory. Fast ones finish nevertheless,
// while the slow ones make room.
func TestPoolSlowWriters(t *testing.T) {
	const patience = 40 * time.Millisecond
	p := newPool(MinMemory, patience)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var slow, fast sync.WaitGroup
	var all []*filler
	for range 100 {
		f := newFiller(p)
		all = append(all, f)
		slow.Go(func() {
			f.burst = 9 * pieceSize
			err := f.fill(ctx, 5<<20, 5<<20, 5*patience)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			f.drop()
		})
	}
	// They trickle until there is too little for a part.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(patience) {
		p.mu.Lock()
		full := p.free < 10<<20
		p.mu.Unlock()
		if full {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the pool does not fill")
		}
	}
	began := time.Now()
	for range 4 {
		fast.Go(func() {
			f := newFiller(p)
			for range 30 {
				if err := f.fill(t.Context(), 5<<20, 5<<20, 0); err != nil {
					t.Error(err)
				}
				f.send(patience / 4)
			}
		})
	}
	fast.Wait()
	took, yields := time.Since(began), int64(0)
	for _, f := range all {
		yields += f.yields.Load()
	}
	if took > 50*patience || yields == 0 {
		t.Errorf("fast writers took %v, slow ones yielded %d times", took, yields)
	}
	stop()
	slow.Wait()
	time.Sleep(10 * time.Millisecond)
	checkPool(t, p)
}

// TestPoolOnlySlowWriters: where all are slow, they take turns and all of them finish.
func TestPoolOnlySlowWriters(t *testing.T) {
	const patience = 2 * time.Millisecond
	p := newPool(MinMemory, patience)
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			f := newFiller(p)
			err := f.fill(t.Context(), 5<<20, 5<<20, patience)
			if err != nil {
				t.Error(err)
			}
			f.send(time.Millisecond)
		})
	}
	group.Wait()
	time.Sleep(10 * time.Millisecond)
	checkPool(t, p)
}

// TestPoolWaitEnds ends waits by their context.
func TestPoolWaitEnds(t *testing.T) {
	p := newPool(MinMemory, time.Hour)
	first := newFiller(p)
	if err := first.fill(t.Context(), 40<<20, 24<<20, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			f := newFiller(p)
			err := f.fill(ctx, 40<<20, 40<<20, 0)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			<-ctx.Done()
			f.drop()
		})
	}
	time.Sleep(5 * time.Millisecond)
	cancel()
	group.Wait()
	first.drop()
	checkPool(t, p)
}
