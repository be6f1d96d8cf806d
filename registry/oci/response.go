package oci

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// How much must move before the deadline does. With a stall time-out of a minute
// that asks 17 kB/s of a client that takes and 270 B/s of one that gives, so that
// nobody can hold a connection by moving a byte now and then.
const (
	sendSlice    = 1 << 20
	receiveSlice = 16 << 10
)

// response counts what is sent and gives up on a client that takes nothing. It
// passes ReadFrom through, so that a file goes to the socket by sendfile.
type response struct {
	http.ResponseWriter
	stall  time.Duration
	status int
	sent   int64
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if status >= 200 { // 1xx come before the answer
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// ReadFrom implements [io.ReaderFrom].
func (w *response) ReadFrom(r io.Reader) (total int64, err error) {
	from, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	control := http.NewResponseController(w.ResponseWriter)
	defer control.SetWriteDeadline(time.Time{})
	// net/http hands a file to sendfile if it finds it inside one LimitedReader, not
	// inside two.
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: 1<<63 - 1}
	}
	for limited.N > 0 {
		control.SetWriteDeadline(time.Now().Add(w.stall))
		part := &io.LimitedReader{R: limited.R, N: min(sendSlice, limited.N)}
		want := part.N
		n, err := from.ReadFrom(part)
		limited.N -= n
		total += n
		w.sent += n
		if err != nil || n < want {
			return total, err
		}
	}
	return total, nil
}

// body is a request's body that must not stand still.
type body struct {
	from    io.Reader
	control *http.ResponseController
	stall   time.Duration
	left    int // bytes to come before the deadline moves
}

func (s *Server) body(w http.ResponseWriter, r *http.Request) io.Reader {
	return &body{from: r.Body, control: http.NewResponseController(w), stall: s.opts.StallTimeout}
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.left = receiveSlice
		b.control.SetReadDeadline(time.Now().Add(b.stall))
	}
	n, err := b.from.Read(p)
	b.left -= n
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		b.control.SetReadDeadline(time.Time{}) // or it would look later as if the client had gone
	}
	return n, err
}
