package s3

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

// pusher writes an object as a server does that heeds ErrYield.
type pusher struct {
	*Store
	key    blob.Key
	w      blob.Writer
	yields *atomic.Int64
}

func (p *pusher) push(t *testing.T, b []byte) error {
	for {
		n, err := p.w.Write(b)
		b = b[n:]
		if !errors.Is(err, blob.ErrYield) {
			return err
		}
		p.yields.Add(1)
		state, err := p.w.Suspend(t.Context())
		if err != nil {
			return err
		}
		if p.w, err = p.Resume(t.Context(), p.key, state); err != nil {
			return err
		}
	}
}

// TestSlowClients has 100 clients who send little and hold all memory, and four who send
// 40 MiB each.
func TestSlowClients(t *testing.T) {
	s := openStore(t, s3test.Start(t), func(o *Options) { o.Memory = MinMemory })
	s.pool.patience = 100 * time.Millisecond
	var yields atomic.Int64
	var slow, fast, begun sync.WaitGroup
	hurry := make(chan struct{})
	begun.Add(100)
	for i := range 100 {
		slow.Go(func() {
			b := content(600<<10 + 20*10_000 + i)
			w, err := s.Create(t.Context(), blob.NewKey())
			if err != nil {
				t.Error(err)
				begun.Done()
				return
			}
			p := &pusher{s, w.(*writer).key, w, &yields}
			err = p.push(t, b[:600<<10])
			begun.Done()
			for at := 600 << 10; at < len(b) && err == nil; at += 10_000 {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-hurry:
				}
				err = p.push(t, b[at:min(at+10_000, len(b))])
			}
			if err == nil {
				err = p.w.Commit(t.Context())
			}
			if err != nil {
				t.Error(err)
				return
			}
			check(t, s, p.key, b)
		})
	}
	begun.Wait()
	began := time.Now()
	for range 4 {
		fast.Go(func() {
			key, b := blob.NewKey(), content(40<<20)
			w, err := s.Create(t.Context(), key)
			if err != nil {
				t.Error(err)
				return
			}
			p := &pusher{s, key, w, &yields}
			if err := p.push(t, b); err != nil {
				t.Error(err)
				return
			}
			if err := p.w.Commit(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	fast.Wait()
	took := time.Since(began)
	t.Logf("fast clients took %v, slow ones yielded %d times", took, yields.Load())
	if took > 20*time.Second || yields.Load() == 0 {
		t.Errorf("fast clients took %v, slow ones yielded %d times", took, yields.Load())
	}
	close(hurry)
	slow.Wait()
	checkPool(t, s.pool)
}

// TestCloseEndsWaiting closes a writer that waits for memory.
func TestCloseEndsWaiting(t *testing.T) {
	s := openStore(t, s3test.Start(t), func(o *Options) { o.Memory = MinMemory })
	s.pool.patience = time.Hour
	var writers []blob.Writer
	defer func() {
		for _, w := range writers {
			w.Close()
		}
		checkPool(t, s.pool)
	}()
	for range 30 { // which leave less than a part
		w, err := s.Create(t.Context(), blob.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
		done := make(chan error, 1)
		go func() {
			_, err := w.Write(content(4 << 20))
			done <- err
		}()
		if ended, err := awaitQueue(s.pool, done); ended {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Error("Write after Close: no error")
		}
		return
	}
	t.Error("nobody had to wait")
}

// awaitQueue returns once somebody waits for memory, or with what Write has returned.
func awaitQueue(p *pool, done <-chan error) (ended bool, err error) {
	for {
		select {
		case err := <-done:
			return true, err
		case <-time.After(time.Millisecond):
		}
		p.mu.Lock()
		n := len(p.holders) + len(p.others)
		p.mu.Unlock()
		if n > 0 {
			return false, nil
		}
	}
}
