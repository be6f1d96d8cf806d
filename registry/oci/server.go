// Package oci serves a registry over HTTP as the OCI distribution specification
// says: everything below /v2/. It turns requests into calls of a
// [registry.Registry] and errors into what clients expect, and knows nothing of
// what lies behind.
//
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md
package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/sync/semaphore"

	"berth/auth"
	"berth/registry"
	"berth/registry/internal/buffers"
)

// Options say how the registry is served. Authenticate and Challenge are required.
type Options struct {
	// Authenticate says who asks. An error is answered to the client.
	Authenticate func(*http.Request) (auth.Principal, error)

	// Greet says whether the principal of a context has logged in well enough for
	// GET /v2/, where clients learn whether and how to log in; nil welcomes everybody.
	Greet func(context.Context) error

	// Address says where a request comes from; nil takes the other end of its connection,
	// which behind a proxy is the proxy.
	Address func(*http.Request) string

	// Secure says whether a request came over TLS; nil asks its connection, of which the
	// part in front of a proxy cannot be seen.
	Secure func(*http.Request) bool

	// Authorize says whether the principal of a context may do action on repo. The
	// registry behind asks the same; this is for a request whose body has to be in
	// memory before the registry can be called. Nil leaves it to the registry.
	Authorize func(ctx context.Context, action auth.Action, repo registry.Name) error

	// Challenge is the WWW-Authenticate header that goes with a 401: how to log in,
	// and for what. err is the refusal.
	Challenge func(r *http.Request, err error) string

	// StallTimeout is how long a body may stand still, either way, before the
	// connection is given up; zero means a minute.
	StallTimeout time.Duration

	// Location is where the registry is, as the ARNs of those who pull have it.
	Location auth.Location

	// Redirect, if set, says whether a pull of a blob is sent to where else the registry
	// has it, as in a bucket.
	Redirect func(r *http.Request) bool

	// ManifestMemory bounds the bytes of all manifests that are being pushed at the same
	// moment; more wait. Zero means 64 MiB.
	ManifestMemory int64

	// ChunkMinLength is offered to clients that push in chunks; zero means any size
	// will do.
	ChunkMinLength int64

	Logger  *slog.Logger
	Observe func(Record) // called after each request; may be nil
}

// Server is the HTTP face of a registry.
type Server struct {
	registry  registry.Registry
	opts      Options
	router    *mux.Router
	manifests *semaphore.Weighted // bytes of manifests in memory
	buffers   *buffers.Pool       // for content that is not a file
}

// handler answers one kind of request. It returns its error; ServeHTTP writes it.
type handler func(*Server, http.ResponseWriter, *http.Request, request) error

// The paths of the specification. Names are matched loosely and checked by
// registry.ParseName, so that a bad one is told so instead of 404. They come first
// that are asked for most.
const (
	manifestPath  = `/v2/{name:.+}/manifests/{reference}`
	blobPath      = `/v2/{name:.+}/blobs/{digest:[^/]*:[^/]*|[^/]*%3[aA][^/]*}`
	uploadPath    = `/v2/{name:.+}/blobs/uploads/{upload}`
	uploadsPath   = `/v2/{name:.+}/blobs/uploads{slash:/?}`
	anyBlobPath   = `/v2/{name:.+}/blobs/{digest}`
	tagsPath      = `/v2/{name:.+}/tags/list`
	referrersPath = `/v2/{name:.+}/referrers/{digest}`
	catalogPath   = `/v2/_catalog`
	versionPath   = `/v2{slash:/?}`
)

var routes = []struct {
	operation string // as logs and metrics call it
	path      string
	methods   []string
	serve     handler
}{
	{"getManifest", manifestPath, []string{"GET", "HEAD"}, (*Server).getManifest},
	{"headBlob", blobPath, []string{"HEAD"}, (*Server).headBlob},
	{"getBlob", blobPath, []string{"GET"}, (*Server).getBlob},
	{"putUpload", uploadPath, []string{"PUT"}, (*Server).putUpload},
	{"patchUpload", uploadPath, []string{"PATCH"}, (*Server).patchUpload},
	{"getUpload", uploadPath, []string{"GET", "HEAD"}, (*Server).getUpload},
	{"deleteUpload", uploadPath, []string{"DELETE"}, (*Server).deleteUpload},
	{"postUpload", uploadsPath, []string{"POST"}, (*Server).postUpload},
	{"putManifest", manifestPath, []string{"PUT"}, (*Server).putManifest},
	{"getTags", tagsPath, []string{"GET", "HEAD"}, (*Server).getTags},
	{"getReferrers", referrersPath, []string{"GET", "HEAD"}, (*Server).getReferrers},
	{"deleteManifest", manifestPath, []string{"DELETE"}, (*Server).deleteManifest},
	{"deleteBlob", blobPath, []string{"DELETE"}, (*Server).deleteBlob},
	{"badDigest", anyBlobPath, []string{"GET", "HEAD", "DELETE"}, (*Server).badDigest},
	{"getCatalog", catalogPath, []string{"GET", "HEAD"}, (*Server).getCatalog},
	{"getVersion", versionPath, []string{"GET", "HEAD"}, (*Server).getVersion},
}

// New returns the face of reg. It serves everything below /v2/.
func New(reg registry.Registry, opts Options) *Server {
	if opts.StallTimeout == 0 {
		opts.StallTimeout = time.Minute
	}
	if opts.ManifestMemory == 0 {
		opts.ManifestMemory = 64 << 20
	}
	if opts.Authorize == nil {
		opts.Authorize = func(context.Context, auth.Action, registry.Name) error { return nil }
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Greet == nil {
		opts.Greet = func(context.Context) error { return nil }
	}
	if opts.Address == nil {
		opts.Address = func(r *http.Request) string { return r.RemoteAddr }
	}
	if opts.Secure == nil {
		opts.Secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if opts.Observe == nil {
		opts.Observe = func(Record) {}
	}
	s := &Server{registry: reg, opts: opts, manifests: semaphore.NewWeighted(opts.ManifestMemory), buffers: buffers.New(copySize)}
	// Paths are matched as they were sent: an encoded slash is not a slash, and
	// nothing is redirected to a "clean" path, which would drop a body.
	s.router = mux.NewRouter().UseEncodedPath().SkipClean(true)
	for _, route := range routes {
		s.router.Handle(route.path, s.serve(route.operation, route.serve)).
			Methods(slices.Clone(route.methods)...) // mux writes to it
	}
	s.router.NotFoundHandler = s.serve("notFound", (*Server).notFound)
	s.router.MethodNotAllowedHandler = s.serve("methodNotAllowed", (*Server).methodNotAllowed)
	return s
}

// ServeHTTP implements [http.Handler]. Whatever is not below /v2/ and was not added
// with Handle is answered in the protocol's words that there is no such endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// Handle adds an endpoint beside /v2/ whose requests are logged and counted like
// the others, and whose bodies may not stand still. h finds out itself who asks, and can
// tell with [Note].
func (s *Server) Handle(path, operation string, h http.Handler) {
	s.router.Handle(path, s.observe(operation, func(w *response, r *http.Request, rec *Record) error {
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		r.Body = struct {
			io.Reader
			io.Closer
		}{s.body(w, r), r.Body}
		h.ServeHTTP(w, r)
		return nil
	}))
}

// serve is what every request below /v2/ goes through: who asks, what for, and the
// answer.
func (s *Server) serve(operation string, h handler) http.Handler {
	return s.observe(operation, func(w *response, r *http.Request, rec *Record) error {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		return s.answer(h, w, r, rec)
	})
}

// observe answers a request with answer or its error, and then logs and counts it.
func (s *Server) observe(operation string, answer func(*response, *http.Request, *Record) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := newRecord(r, operation, s.opts.Address(r))
		out := newResponse(w, r, s.opts.StallTimeout, s.buffers)
		out.Header().Set("X-Request-Id", rec.RequestID)
		if r.ContentLength != 0 {
			// Of a body that no handler wants, net/http reads some before it answers.
			out.control.SetReadDeadline(time.Now().Add(s.opts.StallTimeout))
		}
		r = r.WithContext(auth.WithOrigin(r.Context(), auth.Origin{
			Address: rec.Remote, Secure: s.opts.Secure(r), RequestID: rec.RequestID,
		}))
		err := recovered(func() error { return answer(out, r, rec) })
		if err != nil {
			s.writeError(out, r, err)
		}
		rec.finish(out, r, err)
		s.log(r.Context(), rec)
		s.opts.Observe(*rec)
	})
}

// recovered turns a panic into an error, so that it is answered and logged like one.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

func (s *Server) answer(h handler, w *response, r *http.Request, rec *Record) error {
	principal, err := s.opts.Authenticate(r)
	if err != nil {
		return err
	}
	rec.Principal = principal.Name
	q, err := parseRequest(r)
	rec.Repository, rec.Reference = q.repo, q.what()
	if err != nil {
		return err
	}
	ctx := auth.WithPrincipal(r.Context(), principal)
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		ctx = registry.WithWarnings(ctx, &registry.Warnings{})
	}
	r = r.WithContext(ctx)
	return h(s, w, r, q)
}

// getVersion is end-1.
func (s *Server) getVersion(w http.ResponseWriter, r *http.Request, _ request) error {
	if err := s.opts.Greet(r.Context()); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "2")
	_, err := w.Write([]byte("{}"))
	return err
}

func (s *Server) notFound(http.ResponseWriter, *http.Request, request) error {
	return errNoEndpoint
}

func (s *Server) methodNotAllowed(_ http.ResponseWriter, r *http.Request, _ request) error {
	return registry.ErrUnsupported.With("%s is not a method of this endpoint", r.Method)
}

// allowed lists the methods that the endpoint of r has, for the header Allow.
func (s *Server) allowed(r *http.Request) string {
	var methods []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		var match mux.RouteMatch
		if s.router.Match(&http.Request{Method: m, URL: r.URL, Host: r.Host}, &match) && match.MatchErr == nil {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}

// request is what the path of a request names.
type request struct {
	repo      registry.Name
	reference registry.Reference // also of a blob or a subject: its digest
	upload    registry.UploadID
}

// what is the part that the log shows beside the repository.
func (q request) what() string {
	if q.upload != "" {
		return string(q.upload)
	}
	return q.reference.String()
}

func parseRequest(r *http.Request) (q request, err error) {
	vars := mux.Vars(r)
	if name, ok := vars["name"]; ok {
		if q.repo, err = registry.ParseName(name); err != nil {
			return q, err
		}
	}
	if reference, ok := vars["reference"]; ok {
		q.reference, err = registry.ParseReference(unescape(reference))
		if reads := r.Method == http.MethodGet || r.Method == http.MethodHead; reads && errors.Is(err, registry.ErrTagInvalid) {
			err = registry.ErrManifestUnknown.With("%s", err.(*registry.Error).Message) // as for any tag nobody has pushed
		}
	} else if d, ok := vars["digest"]; ok {
		q.reference.Digest, err = registry.ParseDigest(unescape(d))
	}
	q.upload = registry.UploadID(vars["upload"])
	return q, err
}

// unescape reads what may be percent-encoded, as the colon of a digest is by some
// clients. What cannot be decoded stays as it is and is refused as a digest or tag.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// log writes the line of a request.
func (s *Server) log(ctx context.Context, rec *Record) {
	level := slog.LevelInfo
	if rec.Fault {
		level = slog.LevelError
	}
	s.opts.Logger.LogAttrs(ctx, level, "request", rec.attrs()...)
}
