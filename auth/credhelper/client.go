package credhelper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	defaultTimeout = 15 * time.Second
	maxAnswer      = 1 << 20
)

// client asks one registry.
type client struct {
	at       host
	insecure bool // plain HTTP will do
	http     *http.Client
	timeout  time.Duration
	agent    string
	now      func() time.Time
}

func (h *Helper) client(at host) (*client, error) {
	transport := h.Transport
	if transport == nil {
		t, err := newTransport(h.getenv("AWS_CA_BUNDLE"))
		if err != nil {
			return nil, err
		}
		transport = t
	}
	insecure, _ := strconv.ParseBool(h.getenv("BERTH_HELPER_INSECURE"))
	c := &client{
		at: at, insecure: insecure || at.isLoopback(), timeout: h.Timeout, agent: "berth-credential-helper/" + h.Version, now: h.now,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a signature is good for one host
		}},
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	return c, nil
}

// newTransport makes a transport that also trusts the certificates in a file.
func newTransport(bundle string) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableKeepAlives = true // one question, then the process ends
	if bundle == "" {
		return t, nil
	}
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE cannot be read: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %s has no certificates in PEM", bundle)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool}
	return t, nil
}

// answer is what a registry has said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// post sends a body, over TLS or, where that will do and there is none, without. prepare
// completes a request before it goes out.
func (c *client) post(ctx context.Context, body string, prepare func(*http.Request) error) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.send(ctx, "https", body, prepare)
	if c.insecure && lacksTLS(err) {
		a, err = c.send(ctx, "http", body, prepare)
	}
	if err != nil {
		return a, c.explain(err)
	}
	return a, nil
}

func (c *client) send(ctx context.Context, scheme, body string, prepare func(*http.Request) error) (answer, error) {
	u := c.at.url()
	u.Scheme, u.Path = scheme, "/"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", c.agent)
	if err := prepare(req); err != nil {
		return answer{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return answer{resp.StatusCode, resp.Header, b}, err
}

// lacksTLS reports whether err shows that there is no TLS: the server speaks plain HTTP, or
// nobody listens, as on the port of https where a host without a port may be meant for http.
func lacksTLS(err error) bool {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// explain says what to do about an error on the way.
func (c *client) explain(err error) error {
	var advice string
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		advice = "it speaks plain HTTP, which others can read: give the registry TLS, or set BERTH_HELPER_INSECURE=1 where the network can be trusted"
	case badCertificate:
		advice = "if the certificate is of an authority of your own, name its file in AWS_CA_BUNDLE"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v; is the registry up, and can it be reached from here?", c.timeout)
	default:
		return fmt.Errorf("the registry cannot be reached: %w", err)
	}
	return fmt.Errorf("%w; %s", err, advice)
}
