package oci

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/google/uuid"

	"berth/registry"
)

// Record is what is known of a request when it has been answered.
type Record struct {
	RequestID  string
	Operation  string // which endpoint, such as getManifest
	Method     string
	Path       string
	Remote     string // where it came from, as [Options].Address has it
	Agent      string
	Login      string // the name given with Basic credentials, right or wrong
	Principal  string // who it proved to be
	Action     string // of the API of ECR that was asked for
	Repository registry.Name
	Reference  string // tag, digest or upload
	Status     int
	Received   int64 // bytes of the request's body that were read
	Sent       int64 // bytes of the answer's body
	Started    time.Time
	Took       time.Duration
	Err        error // what went wrong, more than the client is told
	Fault      bool  // it went wrong through no doing of the client

	body *countingBody
}

func newRecord(r *http.Request, operation, remote string) *Record {
	rec := &Record{
		RequestID: r.Header.Get("X-Request-Id"),
		Operation: operation,
		Method:    r.Method,
		Path:      r.URL.Path,
		Remote:    remote,
		Agent:     r.UserAgent(),
		Started:   time.Now(),
	}
	if len(rec.RequestID) == 0 || len(rec.RequestID) > 64 {
		rec.RequestID = uuid.NewString()
	}
	rec.Login, _, _ = r.BasicAuth()
	rec.body = &countingBody{ReadCloser: r.Body}
	r.Body = rec.body
	return rec
}

type recordKey struct{}

// Note completes the record of a request to an endpoint that was added with
// [Server.Handle].
func Note(ctx context.Context, change func(*Record)) {
	if rec, ok := ctx.Value(recordKey{}).(*Record); ok {
		change(rec)
	}
}

// finish notes how r has ended: with err, or with what happened to the answer's body.
func (rec *Record) finish(w *response, r *http.Request, err error) {
	rec.Took = time.Since(rec.Started)
	rec.Status = w.status
	if rec.Status == 0 {
		rec.Status = http.StatusOK
	}
	rec.Received, rec.Sent = rec.body.n, w.sent
	if err != nil {
		rec.Err = err
	}
	rec.Fault = rec.Status >= 500
	if rec.Err == nil && w.err != nil {
		rec.Err = w.err
		rec.Fault = !ofClient(r, w.err)
	}
}

// ofClient reports whether the answer to r could not be sent because its client is
// gone or takes nothing.
func ofClient(r *http.Request, err error) bool {
	return r.Context().Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

func (rec *Record) attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("request_id", rec.RequestID),
		slog.String("method", rec.Method),
		slog.String("path", rec.Path),
		slog.Int("status", rec.Status),
		slog.Duration("took", rec.Took),
		slog.String("remote", rec.Remote),
	)
	for _, s := range []slog.Attr{
		slog.String("login", rec.Login),
		slog.String("principal", rec.Principal),
		slog.String("action", rec.Action),
		slog.String("repository", string(rec.Repository)),
		slog.String("reference", rec.Reference),
		slog.String("agent", rec.Agent),
	} {
		if s.Value.String() != "" {
			attrs = append(attrs, s)
		}
	}
	if rec.Received > 0 {
		attrs = append(attrs, slog.Int64("received", rec.Received))
	}
	if rec.Sent > 0 {
		attrs = append(attrs, slog.Int64("sent", rec.Sent))
	}
	if rec.Err != nil {
		attrs = append(attrs, slog.Any("error", rec.Err))
	}
	return attrs
}

type countingBody struct {
	io.ReadCloser
	n int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}
