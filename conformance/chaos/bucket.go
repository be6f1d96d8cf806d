package main

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

// onBucket is the fault of a rule.
func onBucket(r rule) func(context.Context, *world) (func(context.Context) error, error) {
	return func(_ context.Context, w *world) (func(context.Context) error, error) {
		w.bucket.obey(r)
		return func(ctx context.Context) error {
			err := harmed(ctx, &w.bucket.met)
			w.bucket.relent()
			return err
		}, nil
	}
}

// overdue is how much longer a fault lasts that nothing has come upon.
const overdue = 30 * time.Second

// harmed waits for a fault to have met something: otherwise it has shown nothing. A slow machine may
// get to few requests of the kind meanwhile.
func harmed(ctx context.Context, met *atomic.Int64) error {
	for until := time.Now().Add(overdue); met.Load() == 0; {
		if time.Now().After(until) {
			return errors.New("nothing came upon the fault")
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// refuse answers with an error of S3.
func refuse(status int, code, message string) rule {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		faultOf(r)
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("X-Amz-Request-Id", "4442587FB7D0A2F9")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message>`+
				`<Resource>%s</Resource><RequestId>4442587FB7D0A2F9</RequestId></Error>`, code, message, r.URL.Path)
		}
	}
}

// silence takes the request and never answers.
func silence(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	f := faultOf(r)
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-f.ended:
	}
	panic(http.ErrAbortHandler)
}

// cutBefore breaks the connection when a part of the request has arrived; the server never has it whole.
func cutBefore(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	faultOf(r)
	if r.ContentLength > 0 {
		_, _ = io.CopyN(io.Discard, r.Body, rand.Int64N(r.ContentLength))
	}
	panic(http.ErrAbortHandler)
}

// cutAfter breaks the connection when the server has done what was asked.
func cutAfter(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	faultOf(r)
	next.ServeHTTP(&deaf{header: http.Header{}}, r)
	panic(http.ErrAbortHandler)
}

// deaf is for an answer that nobody gets.
type deaf struct{ header http.Header }

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) Write(p []byte) (int, error) { return len(p), nil }
func (d *deaf) WriteHeader(int)             {}

// cutAnswer breaks the connection in the middle of the answer's body.
func cutAnswer(w http.ResponseWriter, r *http.Request, next http.Handler) {
	faultOf(r)
	next.ServeHTTP(&torn{ResponseWriter: w, left: rand.Int64N(1 << 20)}, r)
}

type torn struct {
	http.ResponseWriter
	left int64
}

func (t *torn) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *torn) Write(p []byte) (int, error) {
	if t.left -= int64(len(p)); t.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return t.ResponseWriter.Write(p)
}

// slow lets some two megabytes a second through, both ways.
func slow(w http.ResponseWriter, r *http.Request, next http.Handler) {
	faultOf(r)
	r.Body = &slowReader{ReadCloser: r.Body}
	next.ServeHTTP(&slowWriter{w}, r)
}

const (
	sip     = 32 << 10
	swallow = 15 * time.Millisecond
)

type slowReader struct{ io.ReadCloser }

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(swallow)
	return s.ReadCloser.Read(p[:min(len(p), sip)])
}

type slowWriter struct{ http.ResponseWriter }

func (s *slowWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *slowWriter) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		time.Sleep(swallow)
		var m int
		m, err = s.ResponseWriter.Write(p[n:min(len(p), n+sip)])
		n += m
	}
	return n, err
}

// isPart reports whether a request uploads a part.
func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}

// wrongETag changes the ETag in the answer to a part.
func wrongETag(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !isPart(r) {
		next.ServeHTTP(w, r)
		return
	}
	faultOf(r)
	next.ServeHTTP(&mistaken{w}, r)
}

type mistaken struct{ http.ResponseWriter }

func (m *mistaken) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *mistaken) WriteHeader(status int) {
	m.Header().Set("ETag", `"00000000000000000000000000000bad"`)
	m.ResponseWriter.WriteHeader(status)
}

// losePart says that it has a part, and has not.
func losePart(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !isPart(r) {
		next.ServeHTTP(w, r)
		return
	}
	faultOf(r)
	h := md5.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("ETag", `"`+hex.EncodeToString(h.Sum(nil))+`"`)
	w.WriteHeader(http.StatusOK)
}

// restartS3 kills the server.
func restartS3(_ context.Context, w *world) (func(context.Context) error, error) {
	if err := syscall.Kill(w.S3.PID(), syscall.SIGKILL); err != nil {
		return nil, err
	}
	if err := w.S3.Stop(); err != nil {
		return nil, err
	}
	return w.S3.Run, nil
}
