package s3

import (
	"io"
	"net"
	"slices"
	"sync"
)

// body is the bytes of a part, or of a whole object, on their way to S3.
type body struct {
	arena  *arena
	pieces []*piece
	size   int64

	mu    sync.Mutex
	sends []*sending
}

// chunks are the bytes as slices. The caller may not change them.
func (b *body) chunks() net.Buffers {
	all := make(net.Buffers, 0, len(b.pieces))
	rest := b.size
	for _, p := range b.pieces {
		n := min(rest, pieceSize)
		all = append(all, p[:n])
		rest -= n
	}
	return all
}

// Read and Seek make minio-go try again after a failure. It is the transport that
// reads, through a sending for each attempt.
func (b *body) Read([]byte) (int, error)       { return 0, errNotForReading }
func (b *body) Seek(int64, int) (int64, error) { return 0, nil }

// send begins an attempt.
func (b *body) send() *sending {
	s := &sending{chunks: b.chunks()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sends = append(b.sends, s)
	return s
}

// free gives the pieces back. net/http may go on reading the body of a request after
// it has answered that the request failed. The piece must not hold somebody else's
// bytes then, so the sendings are cut off first. One that is at work at this moment, as
// on a connection that is just being closed, is waited for elsewhere.
func (b *body) free() {
	b.mu.Lock()
	defer b.mu.Unlock()
	pieces, sends := b.pieces, b.sends
	b.pieces, b.sends = nil, nil
	busy := slices.DeleteFunc(sends, (*sending).tryCut)
	if len(busy) == 0 {
		b.arena.put(pieces)
		return
	}
	b.arena.late.Go(func() {
		for _, s := range busy {
			s.cut()
		}
		b.arena.put(pieces)
	})
}

// sending is one attempt to send a body.
type sending struct {
	mu     sync.Mutex
	chunks net.Buffers // what is left
	gone   bool
}

var _ io.ReadCloser = (*sending)(nil)

// Read is used where something stands between net/http and the socket, such as TLS.
func (s *sending) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return 0, errCutOff
	}
	for len(p) > 0 && len(s.chunks) > 0 {
		m := copy(p, s.chunks[0])
		n, p = n+m, p[m:]
		if s.chunks[0] = s.chunks[0][m:]; len(s.chunks[0]) == 0 {
			s.chunks = s.chunks[1:]
		}
	}
	if n == 0 && len(s.chunks) == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// writeTo hands all that is left to the kernel at once, without a copy in between.
func (s *sending) writeTo(w *net.TCPConn) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return 0, errCutOff
	}
	all := slices.Clone(s.chunks)
	s.chunks = nil
	return all.WriteTo(w)
}

func (s *sending) Close() error { return nil }

// cut ends the sending, once nobody is reading.
func (s *sending) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone, s.chunks = true, nil
}

// tryCut is cut if nobody is reading, and reports whether that is so.
func (s *sending) tryCut() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	s.gone, s.chunks = true, nil
	return true
}
