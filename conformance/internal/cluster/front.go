package cluster

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// Front is a load balancer without a memory: each request goes to the next replica, whatever the one before it was
// about.
type Front struct {
	Addr string // host:port

	server *http.Server
	done   chan error
}

// StartFront listens on a free port in front of replicas.
func StartFront(replicas []string) (*Front, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			next := replicas[turn.Add(1)%uint64(len(replicas))]
			r.SetURL(&url.URL{Scheme: "http", Host: next})
			r.Out.Host = r.In.Host // by which berth knows its own name
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		ErrorLog:  log.New(io.Discard, "", 0), // the client is told
	}
	f := &Front{
		Addr:   listener.Addr().String(),
		server: &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second},
		done:   make(chan error, 1),
	}
	go func() { f.done <- f.server.Serve(listener) }()
	return f, nil
}

// Stop ends it.
func (f *Front) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if f.server.Shutdown(ctx) != nil {
		f.server.Close()
	}
	if err := <-f.done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
