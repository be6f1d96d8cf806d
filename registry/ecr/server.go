// Package ecr is the face that speaks like Amazon ECR: AWS JSON 1.1 at POST /, with ECR's
// operations, exceptions and limits, on any registry.
//
// Every operation is one line of the table in operations.go: its name, the action a
// policy has to allow, and the method that does it. A request is signed, so it is read
// whole; then come, in this order, who asks, whether the input is one ([check]),
// whether that is allowed, and the operation itself.
//
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html
package ecr

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/semaphore"

	"berth/auth"
	"berth/registry"
	"berth/scan"
)

// target is what stands before the name of the operation in X-Amz-Target.
const target = "AmazonEC2ContainerRegistry_V20150921."

const mediaType = "application/x-amz-json-1.1"

// Options are what the face leaves to others.
type Options struct {
	Location auth.Location // of the repositories, as their ARNs have it

	// Authenticate finds out who has signed the request. Its errors are [Error] values,
	// those of package auth, or faults of ours.
	Authenticate func(r *http.Request, body []byte) (auth.Principal, error)

	// Screen refuses a request that nobody can have signed, going by its headers: it is asked
	// before a large body is read. Errors: as those of Authenticate. Nil refuses nothing.
	Screen func(r *http.Request) error

	// Authorize asks whether the principal of ctx may do an action on a repository, which
	// is empty for those on the registry itself. Errors: *auth.RefusedError.
	Authorize func(ctx context.Context, action auth.Action, repo registry.Name) error

	// May reports whether Authorize would allow it; that it does not is no refusal.
	May func(ctx context.Context, action auth.Action, repo registry.Name) (bool, error)

	// Visible makes a page of the repositories after last on which the principal of ctx may do
	// one of actions. names is the list of all.
	Visible func(ctx context.Context, last registry.Name, limit int, names func(registry.Name, int) ([]registry.Name, error),
		actions ...auth.Action) ([]registry.Name, error)

	// Password makes the password of user AWS that GetAuthorizationToken answers with.
	Password func(ctx context.Context, p auth.Principal) (password string, expires time.Time, err error)

	// Endpoint is the registry as the client of a request calls it, such as
	// https://registry.example.com.
	Endpoint func(*http.Request) string

	// Redirect reports whether the client of a request is sent to the store itself for
	// layers, if that has URLs of its own; nil means never.
	Redirect func(*http.Request) bool

	// LayerURL makes a URL from which anybody can read a blob for an hour, at the registry
	// itself. It is used where clients are not sent to the store.
	LayerURL func(ctx context.Context, endpoint string, repo registry.Name, d digest.Digest) (string, error)

	// Policies reads policies before they are kept.
	Policies PolicyParser

	// Scans are the scans of images; nil if there is nothing that scans.
	Scans scan.Scans

	// Query answers requests that are not ECR's but STS's, which come to the same place; nil
	// means that they are answered as what is no operation of ECR.
	Query http.Handler

	// Changed is told of every change, for the audit log; may be nil.
	Changed func(context.Context, Change)

	// Noted is told of every request once it is answered, for the log; may be nil.
	Noted func(ctx context.Context, n Note)

	ReadOnly   bool  // every change is answered with 503
	BodyMemory int64 // bytes of large bodies and of manifests that are held at once; more wait. Zero means 128 MiB.
}

// Server is the face of a registry.
type Server struct {
	registry registry.Registry
	admin    registry.Admin
	opts     Options
	bodies   *semaphore.Weighted // bytes in memory
}

// New returns the face of a registry. What it is given is not guarded: the face asks
// Authorize itself, once for each request.
func New(reg registry.Registry, admin registry.Admin, opts Options) *Server {
	if opts.BodyMemory == 0 {
		opts.BodyMemory = 128 << 20
	}
	if opts.Screen == nil {
		opts.Screen = func(*http.Request) error { return nil }
	}
	if opts.Noted == nil {
		opts.Noted = func(context.Context, Note) {}
	}
	if opts.Changed == nil {
		opts.Changed = func(context.Context, Change) {}
	}
	return &Server{registry: reg, admin: admin, opts: opts, bodies: semaphore.NewWeighted(opts.BodyMemory)}
}

// Change is what a request has changed.
type Change struct {
	Who        auth.Principal
	Action     auth.Action
	Repository registry.Name
	Images     []registry.ImageID // that are gone, where images were deleted one by one
	Err        error              // that ended it in the middle
}

// Note is what is known of a request.
type Note struct {
	Operation  string // as the client calls it, if it is known
	Principal  auth.Principal
	Repository registry.Name
	Err        error // more than the client is told
}

// call is one request, on which the operations are methods.
type call struct {
	*Server
	operation string
	principal auth.Principal
	endpoint  string
	redirects bool  // its client can be sent to the store
	held      int64 // bytes of memory that its answer takes

	// changed is what an operation has changed that tells it; nil if it does not, and then all of
	// it has if there was no error. partly is set by one that can fail in its middle.
	changed []registry.ImageID
	partly  bool
}

// hold takes memory for the answer.
func (c *call) hold(ctx context.Context, n int64) error {
	err := c.takeMemory(ctx, n)
	if err == nil {
		c.held += n
	}
	return err
}

// tell tells the audit log of what was changed.
func (c *call) tell(ctx context.Context, action auth.Action, repo registry.Name, err error) {
	if len(c.changed) > 0 || c.changed == nil && (err == nil || c.partly) {
		c.opts.Changed(ctx, Change{c.principal, action, repo, c.changed, err})
	}
}

// ServeHTTP answers a request to POST /.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.opts.Query != nil && isQuery(r) {
		s.opts.Query.ServeHTTP(w, r)
		return
	}
	w.Header().Set("X-Amzn-Requestid", w.Header().Get("X-Request-Id"))
	var n Note
	b, err := s.answer(w, r, &n)
	n.Err = err
	s.opts.Noted(r.Context(), n)
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, http.StatusOK, b)
}

// isQuery reports whether a request speaks the protocol of STS: it names no operation in
// a header, and has a form, or an Action in its query as one that was presigned.
func isQuery(r *http.Request) bool {
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		return false
	case r.Method == http.MethodPost:
		mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		return err == nil && mediaType == "application/x-www-form-urlencoded"
	}
	return r.Method == http.MethodGet && r.URL.Query().Has("Action")
}

func write(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, n *Note) ([]byte, error) {
	name, isOurs := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	op, known := operations[name]
	switch {
	case r.Method != http.MethodPost:
		return nil, failure(http.StatusMethodNotAllowed, "MalformedHttpRequestException", "the API of ECR is asked with POST, not %s", r.Method)
	case !isOurs || !known:
		return nil, failure(http.StatusBadRequest, "UnknownOperationException", "the operation %q of X-Amz-Target is not known; it should be %s followed by that of an operation of ECR",
			registry.Clip(r.Header.Get("X-Amz-Target")), target)
	}
	n.Operation = name
	body, done, err := s.read(w, r, op.largest())
	if err != nil {
		return nil, err
	}
	defer done()
	c := &call{Server: s, operation: name, endpoint: s.opts.Endpoint(r), redirects: s.opts.Redirect != nil && s.opts.Redirect(r)}
	if c.principal, err = s.opts.Authenticate(r, body); err != nil {
		return nil, err
	}
	n.Principal = c.principal
	ctx := auth.WithPrincipal(r.Context(), c.principal)
	in, err := op.decode(body)
	if err != nil {
		return nil, err
	}
	repo, err := c.checked(op, in)
	n.Repository = repo
	if err != nil {
		return nil, err
	}
	if parametric, ok := in.(interface{ parameters() auth.Parameters }); ok {
		ctx = auth.WithParameters(ctx, parametric.parameters())
	}
	if s.opts.ReadOnly && op.changes {
		return nil, errReadOnly
	}
	if !op.asks {
		if err := s.opts.Authorize(ctx, op.action, repo); err != nil {
			return nil, err
		}
	}
	defer func() { s.bodies.Release(c.held) }()
	if op.changes {
		ctx = registry.WithCause(ctx, registry.Cause{By: c.principal.IdentityARN(c.opts.Location)})
	}
	out, err := op.call(c, ctx, in)
	if op.changes {
		c.tell(ctx, op.action, repo, err)
	}
	if err != nil {
		return nil, c.exception(err, repo)
	}
	return json.Marshal(out)
}

// checked looks whether the input is one, and which repository it is about.
func (c *call) checked(op operation, in input) (registry.Name, error) {
	k := check{exception: op.invalid()}
	in.validate(&k)
	if k.err != nil {
		return "", k.err
	}
	scoped, ok := in.(interface {
		about() (registryID string, repo registry.Name)
	})
	if !ok {
		return "", nil
	}
	id, repo := scoped.about()
	if id != "" && id != c.account() {
		if repo == "" {
			return "", invalid("registryId", "this registry has the id "+c.account())
		}
		return repo, repositoryNotFound(repo, id)
	}
	return repo, nil
}
