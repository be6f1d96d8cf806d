package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/checkup"
)

// begin opens an upload and returns where it is.
func (v *visitor) begin(ctx context.Context) (string, *checkup.Finding) {
	told := func(f checkup.Finding) (string, *checkup.Finding) { return "", &f }
	a, err := v.ask(ctx, http.MethodPost, "/v2/"+probeRepository+"/blobs/uploads/", http.NoBody, 0)
	location := ""
	if err == nil {
		location = a.Header.Get("Location")
	}
	switch {
	case err != nil:
		return told(v.failed(err))
	case !a.berths():
		return told(checkup.Bad(a.told(), "have the proxy pass on POST, PUT, PATCH and DELETE (limit_except in nginx, rules of a web application firewall)"))
	case a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusUnauthorized:
		return told(checkup.Bad(fmt.Sprintf("%s may not push to %s", v.User, probeRepository), fmt.Sprintf("name another account, or berth policy attach %s AmazonEC2ContainerRegistryPowerUser; if the token did not arrive, have the proxy pass on the Authorization header", v.User)))
	case a.StatusCode == http.StatusNotFound:
		return told(checkup.Bad("there is no repository "+probeRepository, "the server runs with --no-create-on-push; give the doctor the same flags"))
	case a.StatusCode != http.StatusAccepted:
		return told(checkup.Bad(a.told(), "see the log of berth for the request "+a.Header.Get("X-Request-Id")))
	case location == "":
		v.cancelByID(ctx, a)
		return told(checkup.Bad("the Location header of the answer is lost on its way", "have the proxy pass on Location"))
	}
	u, err := v.base.Parse(location)
	if err != nil || u.Host != v.base.Host || u.Scheme != v.base.Scheme {
		v.cancelByID(ctx, a)
		return told(checkup.Bad(fmt.Sprintf("Location is changed on its way to %s", location), "have the proxy leave Location as it is (proxy_redirect off in nginx)"))
	}
	return u.String(), nil
}

// cancel is for an upload that has come to nothing.
func (v *visitor) cancel(ctx context.Context, location string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return v.ask(ctx, http.MethodDelete, location, nil, 0)
}

// cancelByID is for one whose Location has not arrived.
func (v *visitor) cancelByID(ctx context.Context, begun answer) {
	if id := begun.Header.Get("Docker-Upload-Uuid"); id != "" {
		_, _ = v.cancel(ctx, "/v2/"+probeRepository+"/blobs/uploads/"+id) // it expires otherwise
	}
}

// upload opens one, sends a chunk and cancels it.
func (v *visitor) upload(ctx context.Context) checkup.Finding {
	location, bad := v.begin(ctx)
	if bad != nil {
		return *bad
	}
	chunk := "berth doctor was here"
	a, err := v.ask(ctx, http.MethodPatch, location, strings.NewReader(chunk), int64(len(chunk)), "Content-Range", fmt.Sprintf("0-%d", len(chunk)-1))
	gone, cancelErr := v.cancel(ctx, location)
	switch {
	case err != nil:
		return v.failed(err)
	case !a.berths():
		return checkup.Bad(a.told(), "have the proxy pass on PATCH")
	case a.StatusCode != http.StatusAccepted:
		return checkup.Bad(a.told(), "see the log of berth for the request "+a.Header.Get("X-Request-Id"))
	case a.Header.Get("Range") != fmt.Sprintf("0-%d", len(chunk)-1):
		return checkup.Bad(fmt.Sprintf("the Range header of the answer to a chunk arrives as %q", a.Header.Get("Range")), "have the proxy pass on Range in answers: pushes in chunks cannot go on without it")
	case cancelErr != nil:
		return v.failed(cancelErr)
	case gone.StatusCode != http.StatusNoContent:
		return checkup.Warn(gone.told(), "have the proxy pass on DELETE; the upload is removed after --upload-expiry")
	}
	return checkup.Fine("an upload is begun, goes on and is cancelled")
}

// headers pushes a blob of two bytes, looks at how answers arrive and deletes it.
func (v *visitor) headers(ctx context.Context) checkup.Finding {
	const content = "{}"
	d := digest.FromString(content)
	blob := "/v2/" + probeRepository + "/blobs/" + d.String()
	a, err := v.ask(ctx, http.MethodPost, "/v2/"+probeRepository+"/blobs/uploads/?digest="+url.QueryEscape(d.String()), strings.NewReader(content), int64(len(content)))
	if err != nil {
		return v.failed(err)
	}
	if a.StatusCode != http.StatusCreated {
		return checkup.Bad(a.told(), "see the log of berth for the request "+a.Header.Get("X-Request-Id"))
	}
	f := v.arrive(ctx, blob, d)
	gone, err := v.ask(ctx, http.MethodDelete, blob, nil, 0)
	if f.Severity == checkup.OK && (err != nil || gone.StatusCode != http.StatusAccepted) {
		f.Seen += fmt.Sprintf("; a blob of 2 bytes stays in %s, which %s may not delete", probeRepository, v.User)
	}
	return f
}

func (v *visitor) arrive(ctx context.Context, blob string, d digest.Digest) checkup.Finding {
	const advice = "have the proxy pass on all headers, also Docker-Content-Digest, and not compress answers"
	head, err := v.ask(ctx, http.MethodHead, blob, nil, 0)
	if err != nil {
		return v.failed(err)
	}
	part, err := v.ask(ctx, http.MethodGet, blob, nil, 0, "Range", "bytes=1-1")
	if err != nil {
		return v.failed(err)
	}
	switch {
	case head.StatusCode != http.StatusOK:
		return checkup.Bad(head.told(), "have the proxy pass on HEAD, and not keep answers (proxy_cache off)")
	case head.Header.Get("Docker-Content-Digest") != d.String():
		return checkup.Bad(fmt.Sprintf("Docker-Content-Digest arrives as %q", head.Header.Get("Docker-Content-Digest")), advice)
	case head.ContentLength != 2:
		return checkup.Bad(fmt.Sprintf("the Content-Length of a blob of 2 bytes arrives as %d", head.ContentLength), advice)
	case part.StatusCode != http.StatusPartialContent || part.body != "}":
		return checkup.Bad(fmt.Sprintf("a request for a part of a blob is answered %s", part.Status), "have the proxy pass on Range and Content-Range: interrupted pulls cannot go on without them")
	}
	return checkup.Fine("Location, Docker-Content-Digest, Content-Length and ranges arrive")
}

// noise is bytes that nothing can compress, and counts those that were read.
type noise struct {
	source *rand.ChaCha8
	left   int64
	sent   *atomic.Int64
}

func (n *noise) Read(p []byte) (int, error) {
	if n.left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.left)]
	m, err := n.source.Read(p)
	n.left -= int64(m)
	n.sent.Add(int64(m))
	return m, err
}

// large sends as much as a layer has. Its digest is wrong, so the registry discards it.
func (v *visitor) large(ctx context.Context) checkup.Finding {
	location, bad := v.begin(ctx)
	if bad != nil {
		return *bad
	}
	defer v.cancel(ctx, location)
	u, err := url.Parse(location)
	if err != nil {
		return v.failed(err)
	}
	query := u.Query()
	query.Set("digest", digest.FromString("not what arrives").String())
	u.RawQuery = query.Encode()
	var sent atomic.Int64
	began := time.Now()
	put := func(header ...string) (answer, error) {
		sent.Store(0)
		return v.ask(ctx, http.MethodPut, u.String(), &noise{rand.NewChaCha8([32]byte{1}), v.ProbeSize, &sent}, v.ProbeSize, header...)
	}
	a, err := put()
	took := time.Since(began)
	if err != nil && ctx.Err() == nil {
		// A proxy that hangs up while we send leaves no answer to be read. Asked first
		// whether it takes the body, it may say why not.
		before := sent.Load()
		if why, whyErr := put("Expect", "100-continue"); whyErr == nil && why.StatusCode >= 400 && !why.berths() {
			a, err = why, nil
		}
		sent.Store(before)
	}
	return v.judgeLarge(a, err, sent.Load(), took)
}

func (v *visitor) judgeLarge(a answer, err error, sent int64, took time.Duration) checkup.Finding {
	size := formatBytes(v.ProbeSize)
	const limits = "raise the limit on bodies of the proxy (client_max_body_size 0 and proxy_request_buffering off in nginx, the annotation nginx.ingress.kubernetes.io/proxy-body-size \"0\" in its ingress)"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return checkup.Bad(fmt.Sprintf("no answer within %s after %s of %s", took.Round(time.Second), formatBytes(sent), size), "see the timeouts and the log of the proxy, and whether it keeps bodies (proxy_request_buffering off)")
	case err != nil:
		seen, _ := checkup.Explain(v.base.Host, err, "")
		return checkup.Bad(fmt.Sprintf("%s after %s of %s", seen, formatBytes(sent), size), limits+", and its timeouts")
	case a.StatusCode == http.StatusRequestEntityTooLarge:
		return checkup.Bad(fmt.Sprintf("a body of %s is too large for the proxy (413)", size), limits)
	case a.StatusCode == http.StatusInsufficientStorage:
		return checkup.Bad(a.told(), "free space")
	case a.StatusCode == http.StatusRequestTimeout || a.StatusCode == http.StatusGatewayTimeout || a.StatusCode == http.StatusBadGateway:
		return checkup.Bad(fmt.Sprintf("a body of %s is answered %s after %s", size, a.Status, took.Round(time.Second)), "raise the timeouts of the proxy (proxy_read_timeout and proxy_send_timeout in nginx), and see that it does not keep bodies (proxy_request_buffering off)")
	case a.StatusCode != http.StatusBadRequest || !a.has(registry.ErrDigestInvalid.Code):
		return checkup.Bad(fmt.Sprintf("a body of %s: %s", size, a.told()), "see the logs of the proxy and of berth")
	}
	return checkup.Fine("%s arrive in one request, at %.0f MiB/s", size, float64(v.ProbeSize)/(1<<20)/took.Seconds())
}
