package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Upstream is a database in another registry.
type Upstream struct {
	Reference string // as [ParseReference] was given it
	repo      *remote.Repository
}

// maxStall is how long another registry may be silent.
const maxStall = time.Minute

// ParseReference reads a reference such as ghcr.io/aquasecurity/trivy-db:2. It is asked over
// TLS unless it begins with http:// or is on this machine. Credentials are those that docker
// uses (docker login). userAgent is what the other registry is told of us.
func ParseReference(reference, userAgent string) (*Upstream, error) {
	rest, plain := strings.CutPrefix(reference, "http://")
	rest, secure := strings.CutPrefix(rest, "https://")
	repo, err := remote.NewRepository(rest)
	host, _, _ := strings.Cut(rest, "/")
	switch {
	case err != nil || !strings.ContainsAny(host, ".:") && host != "localhost":
		return nil, fmt.Errorf("%q is no reference of another registry; it should look like ghcr.io/aquasecurity/trivy-db:2", reference)
	case repo.Reference.Reference == "":
		return nil, fmt.Errorf("%q does not say which tag; add one, such as :2", reference)
	}
	repo.PlainHTTP = plain || !secure && loopback(host)
	client := &auth.Client{Client: &http.Client{Transport: newTransport()}, Cache: auth.NewCache()}
	client.SetUserAgent(userAgent)
	client.Credential = credential
	repo.Client = client
	return &Upstream{Reference: reference, repo: repo}, nil
}

// credential is what docker logs in to a registry with; a service may have no home folder,
// and then there is none.
func credential(ctx context.Context, host string) (auth.Credential, error) {
	if _, err := os.UserHomeDir(); err != nil && os.Getenv("DOCKER_CONFIG") == "" {
		return auth.EmptyCredential, nil
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return auth.EmptyCredential, fmt.Errorf("the configuration of docker: %w", err)
	}
	return credentials.Credential(store)(ctx, host)
}

// newTransport is one for few and large answers.
func newTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = maxStall
	t.DisableKeepAlives = true // nothing more is asked for hours
	return t
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// Digest asks what is there, without fetching it.
func (u *Upstream) Digest(ctx context.Context) (digest.Digest, error) {
	d, err := u.resolve(ctx)
	return d.Digest, err
}

func (u *Upstream) resolve(ctx context.Context) (ocispec.Descriptor, error) {
	ctx, cancel := context.WithTimeout(ctx, maxStall)
	defer cancel()
	d, err := u.repo.Resolve(ctx, u.repo.Reference.Reference)
	if err != nil {
		return d, fmt.Errorf("%s: %w", u.Reference, err)
	}
	return d, nil
}

// Artifact reads the manifest of what is there. The layer is fetched when it is imported.
func (u *Upstream) Artifact(ctx context.Context) (Artifact, error) {
	d, err := u.resolve(ctx)
	if err != nil {
		return Artifact{}, err
	}
	a, err := read(ctx, u.Reference, u, d)
	if err != nil {
		return a, fmt.Errorf("%s: %w", u.Reference, err)
	}
	return a, nil
}

// Fetch implements fetcher. What it returns ends with an error when nothing has arrived for a
// while.
func (u *Upstream) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(maxStall, func() { cancel(errStalled) })
	content, err := u.repo.Fetch(ctx, d)
	if err != nil {
		timer.Stop()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, fmt.Errorf("%s: %w", u.Reference, err)
	}
	return &impatient{ReadCloser: content, ctx: ctx, cancel: cancel, timer: timer}, nil
}

var errStalled = errors.New("the other registry has sent nothing for a minute")

// impatient is a body that must not stand still.
type impatient struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// Read implements [io.Reader].
func (i *impatient) Read(p []byte) (int, error) {
	n, err := i.ReadCloser.Read(p)
	if err == nil {
		i.timer.Reset(maxStall)
	} else if err != io.EOF && context.Cause(i.ctx) != nil {
		err = context.Cause(i.ctx)
	}
	return n, err
}

// Close implements [io.Closer].
func (i *impatient) Close() error {
	i.timer.Stop()
	i.cancel(nil)
	return i.ReadCloser.Close()
}
