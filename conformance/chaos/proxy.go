package main

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// rule does something to a request, or hands it on.
type rule func(w http.ResponseWriter, r *http.Request, next http.Handler)

// bucketProxy stands before the S3 server.
type bucketProxy struct {
	addr   string
	server *http.Server
	done   chan error
	rule   atomic.Pointer[rule]
	met    atomic.Int64 // requests that the rule did something to

	mu    sync.Mutex
	ended chan struct{} // closed when the rule goes
}

func startBucketProxy(to string) (*bucketProxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: to})
			r.Out.Host = r.In.Host // which is signed
		},
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // as if there were no proxy: the connection breaks
		},
	}
	p := &bucketProxy{addr: listener.Addr().String(), done: make(chan error, 1), ended: make(chan struct{})}
	p.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rule := p.rule.Load(); rule != nil {
				(*rule)(w, r, pass)
				return
			}
			pass.ServeHTTP(w, r)
		}),
	}
	go func() { p.done <- p.server.Serve(listener) }()
	return p, nil
}

// obey begins a rule.
func (p *bucketProxy) obey(r rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := make(chan struct{})
	p.ended = ended
	bound := rule(func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		r(w, q.WithContext(context.WithValue(q.Context(), faultKey{}, fault{ended, &p.met})), next)
	})
	p.rule.Store(&bound)
}

// relent ends the rule.
func (p *bucketProxy) relent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule.Store(nil)
	close(p.ended)
}

func (p *bucketProxy) stop() error {
	p.server.Close()
	if err := <-p.done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type faultKey struct{}

// fault is what a rule knows of its time.
type fault struct {
	ended <-chan struct{}
	met   *atomic.Int64
}

// faultOf counts that a rule has done something.
func faultOf(r *http.Request) fault {
	f := r.Context().Value(faultKey{}).(fault)
	f.met.Add(1)
	return f
}

// sometimes applies a rule to a share of the requests.
func sometimes(share float64, rule rule) rule {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if rand.Float64() < share {
			rule(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}
