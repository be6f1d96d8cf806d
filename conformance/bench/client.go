package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// The media types that the benchmark pushes.
const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// client speaks the distribution protocol to one registry and costs little itself: it shares the machine with what it
// measures. Every registry gets the same requests from it, but for the Authorization header.
type client struct {
	ctx   context.Context // of every request: a benchmark that is interrupted asks no more
	base  string          // http://host:port
	http  *http.Client
	login *login
}

// newClient is a client for the registry at base, which holds a connection for each of so many workers.
func newClient(ctx context.Context, base, user, password string, workers int) (*client, error) {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConns:        2 * workers,
		MaxIdleConnsPerHost: 2 * workers,
		DisableCompression:  true,
		ReadBufferSize:      64 << 10,
		WriteBufferSize:     64 << 10,
	}
	c := &client{ctx: ctx, base: base, http: &http.Client{Transport: transport}}
	var err error
	c.login, err = newLogin(c.http, base, user, password)
	return c, err
}

// close drops the connections.
func (c *client) close() { c.http.CloseIdleConnections() }

// request is one request about a repository or the catalog.
type request struct {
	method string
	repo   string // empty for the catalog
	url    string // absolute, or a path
	media  string // Content-Type or, of a GET, Accept
	body   func() io.Reader
	size   int64
	want   int // the status that counts as success
}

// buffers is what answers are read into; io.Discard would read 8 KiB at a time.
var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// do sends r, passes the body of the answer to keep, if that is not nil, and returns the header and the body's size.
func (c *client) do(r request, keep io.Writer) (http.Header, int64, error) {
	target := r.url
	if target[0] == '/' {
		target = c.base + target
	}
	req, err := http.NewRequestWithContext(c.ctx, r.method, target, nil)
	if err != nil {
		return nil, 0, err
	}
	if r.body != nil && r.size > 0 {
		req.ContentLength = r.size
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(r.body()), nil }
		req.Body, _ = req.GetBody()
	}
	switch {
	case r.media == "":
	case r.method == http.MethodGet || r.method == http.MethodHead:
		req.Header.Set("Accept", r.media)
	default:
		req.Header.Set("Content-Type", r.media)
	}
	if err := c.login.authorize(req, scope(r.repo)); err != nil {
		return nil, 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != r.want {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, 0, &statusError{r.method, target, resp.StatusCode, string(b), time.Duration(after) * time.Second}
	}
	n, err := drain(resp.Body, keep)
	return resp.Header, n, err
}

// drain reads an answer to its end.
func drain(body io.Reader, keep io.Writer) (int64, error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	var total int64
	for {
		n, err := body.Read(*b)
		total += int64(n)
		if keep != nil && n > 0 {
			if _, err := keep.Write((*b)[:n]); err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// statusError is an answer that nobody wanted.
type statusError struct {
	method, url string
	status      int
	body        string
	retryAfter  time.Duration // zero if the answer did not say
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: %d %s", e.method, e.url, e.status, e.body)
}

// unsupported says whether err is a registry's way to say that it has no such endpoint.
func unsupported(err error) bool {
	var e *statusError
	return errors.As(err, &e) && (e.status == http.StatusNotFound || e.status == http.StatusMethodNotAllowed ||
		e.status == http.StatusNotImplemented)
}

// pushBlob uploads b: POST and PUT in one go, or with a PATCH between them as docker does it.
func (c *client) pushBlob(repo string, b blob, patch bool) error {
	h, _, err := c.do(request{method: "POST", repo: repo, url: "/v2/" + repo + "/blobs/uploads/", want: http.StatusAccepted}, nil)
	if err != nil {
		return err
	}
	body, size := b.open, b.size
	if patch {
		to, err := c.location(h)
		if err != nil {
			return err
		}
		h, _, err = c.do(request{
			method: "PATCH", repo: repo, url: to.String(), media: "application/octet-stream",
			body: body, size: size, want: http.StatusAccepted,
		}, nil)
		if err != nil {
			return err
		}
		body, size = nil, 0
	}
	to, err := c.location(h)
	if err != nil {
		return err
	}
	q := to.Query()
	q.Set("digest", b.digest)
	to.RawQuery = q.Encode()
	_, _, err = c.do(request{
		method: "PUT", repo: repo, url: to.String(), media: "application/octet-stream",
		body: body, size: size, want: http.StatusCreated,
	}, nil)
	return err
}

// location is where an upload goes on, absolute.
func (c *client) location(h http.Header) (*url.URL, error) {
	base, err := url.Parse(c.base + "/")
	if err != nil {
		return nil, err
	}
	return base.Parse(h.Get("Location"))
}

// pushManifest puts a manifest under a tag or a digest and returns the answer's header.
func (c *client) pushManifest(repo, reference string, manifest []byte) (http.Header, error) {
	h, _, err := c.do(request{
		method: "PUT", repo: repo, url: "/v2/" + repo + "/manifests/" + reference, media: typeManifest,
		body: func() io.Reader { return bytes.NewReader(manifest) }, size: int64(len(manifest)), want: http.StatusCreated,
	}, nil)
	return h, err
}
