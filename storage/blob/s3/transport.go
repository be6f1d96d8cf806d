package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// transport is below minio-go and its retries, so it sees every request.
type transport struct {
	next    http.RoundTripper
	timeout time.Duration
	rate    *rate.Limiter // nil: no limit
	turns   chan struct{} // holds a token for each request that is under way
	observe func(Operation)
}

func newTransport(o Options, roots *x509.CertPool) *transport {
	var next http.RoundTripper = &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   min(o.Timeout, 10*time.Second),
		ResponseHeaderTimeout: o.Timeout,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true, // layers are compressed already
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
	if o.Transport != nil {
		next = o.Transport(next)
	}
	t := &transport{next: next, timeout: o.Timeout, turns: make(chan struct{}, o.MaxRequests), observe: o.Observe}
	if o.MaxRate > 0 {
		t.rate = rate.NewLimiter(rate.Limit(o.MaxRate), max(1, int(o.MaxRate)))
	}
	return t
}

// RoundTrip waits for its turn and makes one request. The timeout is over all of it,
// but a Get may take longer for its body, as long as that comes.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	c := callOf(request.Context())
	done, err := t.turn(request.Context())
	if err != nil {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(t.timeout, func() { cancel(context.DeadlineExceeded) })
	end := func() {
		timer.Stop()
		cancel(nil)
	}
	request = request.WithContext(ctx)
	if c.body != nil && request.Body != nil {
		request.Body = c.body.send()
	}
	began := time.Now()
	op := Operation{Kind: c.kind, Retry: c.attempt()}
	answer, err := t.next.RoundTrip(request)
	if c.kind == Get || err != nil {
		// Who reads a body may be slow, and shall not be in the way of who writes one.
		done()
	}
	if err != nil && context.Cause(ctx) == context.DeadlineExceeded {
		err = context.DeadlineExceeded
	}
	op.Err, op.Elapsed = err, time.Since(began)
	if err != nil {
		end()
		t.observe(op)
		return nil, err
	}
	op.Status = answer.StatusCode
	t.observe(op)
	if answer.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		c.noteRange(answer.Header.Get("Content-Range"))
	}
	a := &answerBody{ReadCloser: answer.Body, end: end}
	if c.kind == Get {
		timer.Stop()
		a.timer, a.timeout = timer, t.timeout
	} else {
		a.end = func() { end(); done() }
	}
	answer.Body = a
	return answer, nil
}

// turn waits until the limits allow a request. The caller calls done when it is over.
func (t *transport) turn(ctx context.Context) (done func(), err error) {
	select {
	case t.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done = func() { <-t.turns }
	if t.rate != nil {
		if err := t.rate.Wait(ctx); err != nil {
			done()
			return nil, err
		}
	}
	return done, nil
}

// CloseIdleConnections closes those that no request needs, if what is below can.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// answerBody ends the request when it is closed. That of a Get also ends when it
// stands still for a while; the time in which nobody reads does not count.
type answerBody struct {
	io.ReadCloser
	end     func() // nil once it was called
	timer   *time.Timer
	timeout time.Duration
}

func (a *answerBody) Read(p []byte) (int, error) {
	if a.timer == nil {
		return a.ReadCloser.Read(p)
	}
	a.timer.Reset(a.timeout)
	n, err := a.ReadCloser.Read(p)
	if !a.timer.Stop() && err != nil && err != io.EOF {
		err = errStalled
	}
	return n, err
}

func (a *answerBody) Close() error {
	err := a.ReadCloser.Close()
	if a.end != nil {
		a.end()
		a.end = nil
	}
	return err
}

var dialer = net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		return conn{tcp}, nil
	}
	return c, nil
}

// conn sends a body of ours from the memory in which it lies. net/http would copy it
// through a buffer of 32 KiB.
type conn struct{ *net.TCPConn }

// ReadFrom is called with the rest of the body of a request, cut off where it ends.
func (c conn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if s, ok := limited.R.(*sending); ok {
			n, err := s.writeTo(c.TCPConn)
			limited.N -= n
			return n, err
		}
	}
	return c.TCPConn.ReadFrom(r)
}
