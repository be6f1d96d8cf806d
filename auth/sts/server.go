package sts

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/sigv4"
	"berth/registry"
)

// Service is what requests are signed for.
const Service = "sts"

// version is that of the API, the only one there is.
const version = "2011-06-15"

// maxBody bounds a form: a token of 20,000 characters is the most of it.
const maxBody = 64 << 10

// Options are what the face leaves to others.
type Options struct {
	Location auth.Location // of the registry, as ARNs have it

	// Verify finds out who has signed a request. Errors: *sigv4.Error.
	Verify func(r *http.Request, body []byte) (sigv4.Signed[accesskey.Owner], error)

	// Identify finds out who bears a token. Errors: *oidc.Error.
	Identify func(ctx context.Context, token string) (auth.WebIdentity, error)

	// Assume is [auth.Roles.Assume].
	Assume func(context.Context, auth.Assumption) (auth.Principal, error)

	// Issue is [accesskey.Issuer.Issue].
	Issue func(s accesskey.Session, lifetime time.Duration) (accesskey.Credentials, error)

	// Audit is told of every session that is given out or refused; may be nil.
	Audit func(context.Context, Event)

	// Noted is told of every request once it is answered, for the log; may be nil.
	Noted func(context.Context, Note)
}

// Note is what is known of a request.
type Note struct {
	Operation string // if it is known
	Principal auth.Principal
	Err       error // more than the client is told
}

// Event is a session that was given out, or refused.
type Event struct {
	Action  string // the operation
	Who     string // a principal, or the subject of a token
	Issuer  string // of the token
	Role    string // that was asked for, by its name or ARN
	Session string // its name
	Key     string // the ID of the access key that was given out
	Expires time.Time
	Err     error // why it was refused; nil if it was given out
}

// Server is the face.
type Server struct {
	opts Options
}

// New returns the face.
func New(opts Options) *Server {
	if opts.Audit == nil {
		opts.Audit = func(context.Context, Event) {}
	}
	if opts.Noted == nil {
		opts.Noted = func(context.Context, Note) {}
	}
	return &Server{opts}
}

// call is one request, on which the operations are methods.
type call struct {
	*Server
	request *http.Request
	body    []byte
	form    form
	note    *Note
}

// operation answers a request with what stands in the result of its answer.
type operation func(*call) (any, error)

var operations = map[string]operation{
	"AssumeRoleWithWebIdentity": (*call).assumeRoleWithWebIdentity,
	"GetCallerIdentity":         (*call).getCallerIdentity,
	"GetSessionToken":           (*call).getSessionToken,
}

// ServeHTTP answers a request of the Query protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := w.Header().Get("X-Request-Id")
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Cache-Control", "no-store")
	n := Note{Principal: auth.Nobody}
	result, err := s.answer(w, r, &n)
	n.Err = err
	s.opts.Noted(r.Context(), n)
	if err != nil {
		writeError(w, id, toError(w, err))
		return
	}
	writeResult(w, id, n.Operation, result)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, n *Note) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, failure(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the request has more than %d bytes", maxBody)
	}
	if err != nil {
		return nil, failure(http.StatusBadRequest, "RequestAborted", "the request broke off after %d bytes", len(body))
	}
	f, err := readForm(r, body)
	if err != nil {
		return nil, err
	}
	action := f.get("Action")
	op, known := operations[action]
	switch {
	case action == "":
		return nil, failure(http.StatusBadRequest, "MissingAction", "the request names no operation; it should have an Action, as GetCallerIdentity")
	case !known || f.get("Version") != "" && f.get("Version") != version:
		return nil, failure(http.StatusBadRequest, "InvalidAction", "Could not find operation %s for version %s",
			registry.Clip(action), registry.Clip(f.get("Version")))
	}
	n.Operation = action
	return op(&call{s, r, body, f, n})
}

// signer returns who has signed the request.
func (c *call) signer() (sigv4.Signed[accesskey.Owner], error) {
	signed, err := c.opts.Verify(c.request, c.body)
	if err == nil {
		c.note.Principal = signed.Owner.Principal()
	}
	return signed, err
}
