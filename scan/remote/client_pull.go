package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Puller pulls over /v2/. It is safe for concurrent use.
type Puller struct {
	base     string
	patience time.Duration
	http     *http.Client

	mu      sync.Mutex
	token   string
	failure error
}

// NewPuller returns a puller from the registry at a URL. Patience is how long it tries
// again while the registry is away or stands still; zero means a minute.
func NewPuller(base string, patience time.Duration) (*Puller, error) {
	base, err := parseBase(base)
	if err != nil {
		return nil, err
	}
	if patience == 0 {
		patience = time.Minute
	}
	return &Puller{base: base, patience: patience, http: newHTTP()}, nil
}

// SetToken has requests go with another bearer token from now on.
func (p *Puller) SetToken(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = token
}

// Failed returns why the registry could not give what it has, if that was ever so: then
// it is not the image that something is wrong with. It is asked once about each time.
func (p *Puller) Failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.failure
	p.failure = nil
	return err
}

// failed remembers an error for Failed.
func (p *Puller) failed(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && !errors.Is(err, context.Canceled) {
		p.failure = err
	}
	return err
}

// Manifest returns a manifest and its media type. Errors: registry.ErrManifestUnknown.
func (p *Puller) Manifest(ctx context.Context, repo registry.Name, d digest.Digest) (body []byte, mediaType string, err error) {
	for r := newRetry(p.patience); ; {
		body, mediaType, err = p.manifest(ctx, repo, d)
		if err == nil || !r.wait(ctx, err) {
			return body, mediaType, p.failed(err)
		}
	}
}

func (p *Puller) manifest(ctx context.Context, repo registry.Name, d digest.Digest) (body []byte, mediaType string, err error) {
	resp, err := p.get(ctx, "/v2/"+string(repo)+"/manifests/"+d.String(), http.Header{"Accept": {"*/*"}})
	if err != nil {
		return nil, "", unknown(err, registry.ErrManifestUnknown.With("the image %s is not in the repository %s any more", d, repo))
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, registry.MaxManifestSize+1))
	switch {
	case err != nil:
		return nil, "", &away{err: err}
	case len(body) > registry.MaxManifestSize:
		return nil, "", registry.ErrManifestTooLarge
	case d.Validate() != nil || d.Algorithm().FromBytes(body) != d:
		return nil, "", fmt.Errorf("the manifest that the registry gives is not %s", d)
	}
	return body, resp.Header.Get("Content-Type"), nil
}

// Blob opens a blob. A connection that breaks off is taken up where it did. Reads fail at
// the end if the bytes are not those of the digest. Errors: registry.ErrBlobUnknown.
func (p *Puller) Blob(ctx context.Context, repo registry.Name, d digest.Digest) (io.ReadCloser, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("%q is no digest: %w", d, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	b := &blob{
		puller: p, ctx: ctx, cancel: cancel, digest: d, hash: d.Verifier(),
		path: "/v2/" + string(repo) + "/blobs/" + d.String(),
	}
	for r := newRetry(p.patience); ; {
		err := b.open()
		if err == nil {
			return b, nil
		}
		if !r.wait(ctx, err) {
			cancel()
			return nil, p.failed(unknown(err, registry.ErrBlobUnknown.With("the blob %s is not in the repository %s any more", d, repo)))
		}
	}
}

// get makes a request once. Statuses that are not 200 or 206 are errors.
func (p *Puller) get(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	p.mu.Lock()
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	p.mu.Unlock()
	req.Header.Set("Accept-Encoding", "identity") // blobs are what they are
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, &away{err: err}
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// unknown is a refusal with status 404 in other words.
func unknown(err error, words error) error {
	var r *Refused
	if errors.As(err, &r) && r.Status == http.StatusNotFound {
		return words
	}
	return err
}

// stall is how long a pull may stand still.
const stall = time.Minute

// blob is a blob that is being pulled.
type blob struct {
	puller *Puller
	ctx    context.Context // of all of its requests
	cancel context.CancelFunc
	path   string
	digest digest.Digest
	hash   digest.Verifier
	offset int64
	body   io.ReadCloser      // of the request under way; nil after it broke off
	stop   context.CancelFunc // ends that
	err    error              // that all further reads answer
}

// open makes a request for what is left.
func (b *blob) open() error {
	ctx, cancel := context.WithCancel(b.ctx)
	header := http.Header{}
	if b.offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", b.offset))
	}
	resp, err := b.puller.get(ctx, b.path, header)
	if err != nil {
		cancel()
		return err
	}
	if b.offset > 0 && !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.offset)) {
		cancel()
		resp.Body.Close()
		return errors.New("a pull that broke off cannot be taken up, for the registry or a proxy before it does not know ranges")
	}
	b.body, b.stop = resp.Body, cancel
	return nil
}

// shut ends the request under way.
func (b *blob) shut() {
	if b.body != nil {
		b.stop()
		b.body.Close()
		b.body = nil
	}
}

func (b *blob) Read(buf []byte) (int, error) {
	if b.err != nil || len(buf) == 0 {
		return 0, b.err
	}
	for r := newRetry(b.puller.patience); ; {
		n, err := b.read(buf)
		if n > 0 || err == nil { // an error will be met again
			return n, nil
		}
		if errors.Is(err, io.EOF) {
			if !b.hash.Verified() {
				err = b.puller.failed(fmt.Errorf("the %d bytes that the registry gives are not those of the blob %s", b.offset, b.digest))
			}
			b.err = err
			return 0, err
		}
		b.shut()
		if !r.wait(b.ctx, err) {
			b.err = b.puller.failed(fmt.Errorf("the blob %s broke off after %d bytes: %w", b.digest, b.offset, err))
			return 0, b.err
		}
	}
}

// read reads from the request under way, or makes one.
func (b *blob) read(buf []byte) (int, error) {
	if b.body == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
	}
	watch := time.AfterFunc(stall, b.stop)
	n, err := b.body.Read(buf)
	watch.Stop()
	b.hash.Write(buf[:n]) // never fails
	b.offset += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.shut()
		err = &away{err: err}
	}
	return n, err
}

// Close ends the pull, wherever it stands.
func (b *blob) Close() error {
	b.shut()
	b.cancel()
	return nil
}
