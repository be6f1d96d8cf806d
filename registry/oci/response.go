package oci

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"berth/registry/internal/buffers"
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
//
// The deadline of the last bytes stays when the handler is done: net/http has some of
// them in a buffer and sends them afterwards. Over HTTP/1 the next request on the
// connection takes it away ([newResponse]).
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	buffers *buffers.Pool
	status  int
	sent    int64
	err     error // why the body could not be sent
}

func newResponse(w http.ResponseWriter, r *http.Request, stall time.Duration, pool *buffers.Pool) *response {
	control := http.NewResponseController(w)
	if r.ProtoMajor == 1 { // a stream of HTTP/2 has its own
		control.SetWriteDeadline(time.Time{})
	}
	if r.ContentLength != 0 {
		// net/http first reads what is left of the body, for as long as that may stall.
		stall *= 2
	}
	return &response{ResponseWriter: w, control: control, stall: stall, buffers: pool}
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// extend gives the client the stall time-out, from now on, to take what comes next.
func (w *response) extend() { w.control.SetWriteDeadline(time.Now().Add(w.stall)) }

func (w *response) WriteHeader(status int) {
	if status >= 200 { // 1xx come before the answer
		w.status = status
	}
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (total int, err error) {
	for first := true; first || len(p) > 0; first = false {
		w.extend()
		n, err := w.ResponseWriter.Write(p[:min(len(p), sendSlice)])
		total += n
		if err = w.count(int64(n), err); err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

// ReadFrom implements [io.ReaderFrom].
func (w *response) ReadFrom(r io.Reader) (total int64, err error) {
	// net/http hands a file to sendfile if it finds it inside one LimitedReader, not
	// inside two.
	limited, announced := r.(*io.LimitedReader)
	if !announced {
		limited = &io.LimitedReader{R: r, N: 1<<63 - 1}
	}
	from, ok := w.ResponseWriter.(io.ReaderFrom)
	if _, file := limited.R.(*os.File); !ok || !file { // HTTP/2 has none
		buf, put := w.buffers.Get()
		defer put()
		from = copying{w.ResponseWriter, buf}
	}
	for limited.N > 0 {
		w.extend()
		part := &io.LimitedReader{R: limited.R, N: min(sendSlice, limited.N)}
		want := part.N
		n, err := from.ReadFrom(part)
		limited.N -= n
		total += n
		if err == nil && n < want && announced {
			err = fmt.Errorf("the content ends %d bytes too early", limited.N)
		}
		if err = w.count(n, err); err != nil || n < want {
			return total, err
		}
	}
	return total, nil
}

// count counts bytes and remembers why there are no more: [http.ServeContent] tells
// nobody.
func (w *response) count(n int64, err error) error {
	w.sent += n
	if w.err == nil {
		w.err = err
	}
	return err
}

// copySize is what is read at once of content that is not a file. net/http takes a
// quarter of it, which costs a tenth more CPU, and a new buffer for each slice.
const copySize = 128 << 10

// copying is a writer with a ReadFrom that has a buffer of its own.
type copying struct {
	to  io.Writer
	buf []byte
}

func (c copying) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{c.to}, r, c.buf)
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
