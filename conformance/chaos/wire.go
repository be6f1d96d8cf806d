package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire stands before PostgreSQL and passes bytes on.
type wire struct {
	addr     string
	to       string
	listener net.Listener
	group    sync.WaitGroup
	delay    atomic.Int64 // of what the server says, in nanoseconds
	commits  atomic.Bool  // some COMMITs cut the connection
	met      atomic.Int64 // connections cut

	mu    sync.Mutex
	pairs map[*pair]struct{}
}

// pair is a connection and its other half.
type pair struct{ client, server net.Conn }

func (p *pair) cut() {
	p.client.Close()
	p.server.Close()
}

func startWire(to string) (*wire, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{addr: listener.Addr().String(), to: to, listener: listener, pairs: map[*pair]struct{}{}}
	w.group.Go(w.accept)
	return w, nil
}

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.group.Go(func() {
			server, err := net.Dial("tcp", w.to)
			if err != nil {
				client.Close()
				return
			}
			p := &pair{client, server}
			w.mu.Lock()
			w.pairs[p] = struct{}{}
			w.mu.Unlock()
			var both sync.WaitGroup
			both.Go(func() { w.ask(p) })
			both.Go(func() { w.answer(p) })
			both.Wait()
			w.mu.Lock()
			delete(w.pairs, p)
			w.mu.Unlock()
		})
	}
}

// ask passes on what the client says, and now and then cuts the connection at a COMMIT: before the server has it, or
// when it has it, so that nobody hears what came of it.
func (w *wire) ask(p *pair) {
	defer p.cut()
	buf := make([]byte, 64<<10)
	for {
		n, err := p.client.Read(buf)
		cut, heard := false, false
		if w.commits.Load() && isCommit(buf[:n]) {
			cut, heard = rand.IntN(8) == 0, rand.IntN(2) == 0
		}
		if cut {
			w.met.Add(1)
		}
		if cut && !heard {
			return
		}
		if cut {
			p.client.Close() // before the answer can come
		}
		if _, err := p.server.Write(buf[:n]); err != nil || cut {
			return
		}
		if err != nil {
			return
		}
	}
}

func isCommit(b []byte) bool { return bytes.HasSuffix(bytes.ToLower(b), []byte("commit\x00")) }

// answer passes on what the server says.
func (w *wire) answer(p *pair) {
	defer p.cut()
	buf := make([]byte, 64<<10)
	for {
		n, err := p.server.Read(buf)
		time.Sleep(time.Duration(w.delay.Load()))
		if _, err := p.client.Write(buf[:n]); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// cutSome breaks about a share of the connections.
func (w *wire) cutSome(share float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.pairs {
		if rand.Float64() < share {
			p.cut()
			w.met.Add(1)
		}
	}
}

func (w *wire) stop() error {
	err := w.listener.Close()
	w.cutSome(1)
	w.group.Wait()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}
