package oci

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"berth/registry"
)

// Access is what is known of a request when it has been answered.
type Access struct {
	RequestID  string
	Operation  string // which endpoint, such as getManifest
	Method     string
	Path       string
	Remote     string
	Agent      string
	Login      string // the name given with Basic credentials, right or wrong
	Principal  string // who it proved to be
	Repository registry.Name
	Reference  string // tag, digest or upload
	Status     int
	Received   int64 // bytes of the request's body that were read
	Sent       int64 // bytes of the answer's body
	Started    time.Time
	Took       time.Duration
	Err        error // what went wrong, more than the client is told

	body *countingBody
}

func newAccess(r *http.Request, operation string) *Access {
	a := &Access{
		RequestID: r.Header.Get("X-Request-Id"),
		Operation: operation,
		Method:    r.Method,
		Path:      r.URL.Path,
		Remote:    r.RemoteAddr,
		Agent:     r.UserAgent(),
		Started:   time.Now(),
	}
	if len(a.RequestID) == 0 || len(a.RequestID) > 64 {
		a.RequestID = uuid.NewString()
	}
	a.Login, _, _ = r.BasicAuth()
	a.body = &countingBody{ReadCloser: r.Body}
	r.Body = a.body
	return a
}

func (a *Access) finish(w *response, err error) {
	a.Took = time.Since(a.Started)
	a.Status = w.status
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	a.Received, a.Sent = a.body.n, w.sent
	if a.Err = err; err == nil {
		a.Err = w.err
	}
}

func (a *Access) attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("request_id", a.RequestID),
		slog.String("method", a.Method),
		slog.String("path", a.Path),
		slog.Int("status", a.Status),
		slog.Duration("took", a.Took),
		slog.String("remote", a.Remote),
	)
	for _, s := range []slog.Attr{
		slog.String("login", a.Login),
		slog.String("principal", a.Principal),
		slog.String("repository", string(a.Repository)),
		slog.String("reference", a.Reference),
		slog.String("agent", a.Agent),
	} {
		if s.Value.String() != "" {
			attrs = append(attrs, s)
		}
	}
	if a.Received > 0 {
		attrs = append(attrs, slog.Int64("received", a.Received))
	}
	if a.Sent > 0 {
		attrs = append(attrs, slog.Int64("sent", a.Sent))
	}
	if a.Err != nil {
		attrs = append(attrs, slog.Any("error", a.Err))
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
