package oci_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/oci"
)

const shortStall = 300 * time.Millisecond

// pipes are a listener whose connections hold no bytes at all, so that a client that
// takes nothing is felt at once.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	client.SetDeadline(time.Now().Add(20 * time.Second))
	p.conns <- server
	return client
}

// servePipes serves s on connections of its own.
func (s *server) servePipes(t *testing.T) *pipes {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	h := &http.Server{Handler: s.Config.Handler}
	go h.Serve(p)
	t.Cleanup(func() { h.Close() })
	return p
}

// TestStalledReaderOfAnything takes nothing of answers that are not blobs.
func TestStalledReaderOfAnything(t *testing.T) {
	s := serve(t, nil, func(o *oci.Options) { o.StallTimeout = shortStall })
	index := `{"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"a":"` + strings.Repeat("x", 100_000) + `"}}`
	s.script(t, "PUT /v2/team/app/manifests/latest\n< "+index+"\ncode == 201")
	for i := range 100 { // more than net/http buffers
		m := registry.Manifest{Digest: digest.FromString(index), Bytes: []byte(index)}
		if _, err := s.engine.PutManifest(t.Context(), "team/app", m, []registry.Tag{registry.Tag(fmt.Sprint(i, strings.Repeat("x", 100)))}); err != nil {
			t.Fatal(err)
		}
	}
	p := s.servePipes(t)
	for _, target := range []string{
		"/v2/", "/v2/team/app/tags/list", "/v2/_catalog", "/v2/team/app/manifests/latest", "/v2/none/manifests/latest", "/nothing",
	} {
		c := p.dial(t)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target)
		time.Sleep(2 * shortStall)
		if b, _ := io.ReadAll(c); strings.HasSuffix(string(b), "}") {
			t.Errorf("%s: after twice the time-out all is still sent: %.100q", target, b)
		}
	}
}

// TestDeadlineEndsWithTheAnswer asks again on a connection that has rested for longer
// than any answer may.
func TestDeadlineEndsWithTheAnswer(t *testing.T) {
	s := serve(t, nil, func(o *oci.Options) { o.StallTimeout = shortStall })
	w := &wire{t, nil, nil}
	c := s.servePipes(t).dial(t)
	w.in = bufio.NewReader(c)
	for range 2 {
		fmt.Fprint(c, "PUT /v2/team/app/blobs/uploads/none HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		w.want(400, "DIGEST_INVALID")
		time.Sleep(2 * shortStall)
	}
	fmt.Fprint(c, "POST /v2/team/app/blobs/uploads/?digest="+digest.FromString("hello").String()+
		" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	w.want(100, "")
	time.Sleep(shortStall / 2)
	fmt.Fprint(c, "hello")
	w.want(201, "")
}

// TestStalledReaderOfHTTP2 asks for a blob over HTTP/2 and does not take it.
func TestStalledReaderOfHTTP2(t *testing.T) {
	s := serve(t, nil, func(o *oci.Options) { o.StallTimeout = shortStall })
	big := strings.Repeat("x", 64<<20) // more than a window takes
	answer, err := http.Post(s.URL+"/v2/team/app/blobs/uploads/?digest="+digest.FromString(big).String(), "", strings.NewReader(big))
	if err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	<-s.accesses
	two := httptest.NewUnstartedServer(s.Config.Handler)
	two.EnableHTTP2 = true
	two.StartTLS()
	defer two.Close()
	target := two.URL + "/v2/team/app/blobs/" + digest.FromString(big).String()
	answer, err = two.Client().Get(target)
	if err != nil || answer.ProtoMajor != 2 {
		t.Fatal(answer, err)
	}
	select {
	case a := <-s.accesses:
		if a.Sent >= int64(len(big)) || a.Err == nil {
			t.Errorf("%s has sent %d bytes: %v", a.Operation, a.Sent, a.Err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server waits for a client that takes nothing")
	}
	answer.Body.Close()

	// One that takes it gets it all.
	answer, err = two.Client().Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); n != int64(len(big)) || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}
