package oci_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry/oci"
)

// wire is a connection to a server, for what no client of net/http would send.
type wire struct {
	t    *testing.T
	conn *net.TCPConn
	in   *bufio.Reader
}

func (s *server) dial(t *testing.T) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// send writes lines that end in \n as lines that end in \r\n, and bytes as they are.
func (w *wire) send(head string, body string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, strings.ReplaceAll(head, "\n", "\r\n")+body); err != nil {
		w.t.Fatal(err)
	}
}

// want reads an answer.
func (w *wire) want(code int, body string) *http.Response {
	w.t.Helper()
	answer, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.StatusCode != code || !strings.Contains(string(b), body) {
		w.t.Fatalf("got %s %s, want %d %s", answer.Status, b, code, body)
	}
	return answer
}

// start opens an upload and returns where it is.
func (s *server) start(t *testing.T) string {
	t.Helper()
	answer, err := http.Post(s.URL+"/v2/team/app/blobs/uploads/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatal(answer.Status)
	}
	return answer.Header.Get("Location")
}

// wantRange looks where an upload stands.
func (s *server) wantRange(t *testing.T, upload, want string) {
	t.Helper()
	s.script(t, "GET "+upload+"\ncode == 204\nRange == "+want)
}

// wantFinish sends the rest of an upload.
func (s *server) wantFinish(t *testing.T, upload, content string, at int) {
	t.Helper()
	s.script(t, fmt.Sprintf("PUT %s?digest=%s\nContent-Range: %d-%d\n< %s\ncode == 201",
		upload, digest.FromString(content), at, len(content)-1, content[at:]))
	s.script(t, fmt.Sprintf("GET /v2/team/app/blobs/%s\ncode == 200\nbody == %s", digest.FromString(content), content))
}

const content = "hello, world, this is a blob"

func TestBodyThatBreaksOff(t *testing.T) {
	s := serve(t, nil, nil)
	for method, length := range map[string]string{
		"PATCH": "Content-Length: 28\n\n",
		"PUT":   "Content-Length: 28\n\n",
	} {
		upload := s.start(t)
		w := s.dial(t)
		w.send(fmt.Sprintf("%s %s?digest=%s HTTP/1.1\nHost: x\n%s", method, upload, digest.FromString(content), length), content[:10])
		w.conn.CloseWrite()
		w.want(400, "SIZE_INVALID")
		s.wantRange(t, upload, "0-9")
		s.wantFinish(t, upload, content, 10)
	}
}

// TestClientThatGoesAway resets the connection in the middle of a body.
func TestClientThatGoesAway(t *testing.T) {
	s := serve(t, nil, nil)
	upload := s.start(t)
	<-s.accesses
	w := s.dial(t)
	w.send("PATCH "+upload+" HTTP/1.1\nHost: x\nContent-Length: 28\n\n", content[:10])
	time.Sleep(50 * time.Millisecond) // for the bytes to arrive before the reset
	w.conn.SetLinger(0)
	w.conn.Close()
	if a := <-s.accesses; a.Operation != "patchUpload" || a.Received != 10 {
		t.Errorf("%s has received %d bytes", a.Operation, a.Received)
	}
	s.wantRange(t, upload, "0-9")
	s.wantFinish(t, upload, content, 10)
}

func TestChunkedBodyThatBreaksOff(t *testing.T) {
	s := serve(t, nil, nil)
	for _, rest := range []string{"", "zz\r\n", "5\r\nab"} {
		upload := s.start(t)
		w := s.dial(t)
		w.send("PATCH "+upload+" HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\na\n"+content[:10]+"\n", rest)
		w.conn.CloseWrite()
		w.want(400, "SIZE_INVALID")
		kept := 10 + strings.Count(rest, "ab")*2
		s.wantRange(t, upload, fmt.Sprintf("0-%d", kept-1))
	}
}

// TestLyingContentLength sends more than it says, or says two things.
func TestLyingContentLength(t *testing.T) {
	s := serve(t, nil, nil)
	upload := s.start(t)
	w := s.dial(t)
	w.send("PATCH "+upload+" HTTP/1.1\nHost: x\nContent-Length: 10\n\n", content+"\r\n\r\n")
	w.want(202, "")
	w.want(400, "") // what is left is no request
	s.wantRange(t, upload, "0-9")

	for _, lengths := range []string{"Content-Length: 18\nContent-Length: 5", "Content-Length: -1", "Content-Length: 1e3", "Content-Length: 99999999999999999999"} {
		w := s.dial(t)
		w.send("PATCH "+upload+" HTTP/1.1\nHost: x\n"+lengths+"\n\n", content[10:])
		w.want(400, "")
		s.wantRange(t, upload, "0-9")
	}

	// A manifest that says it is larger than any may be is not read at all.
	w = s.dial(t)
	w.send("PUT /v2/team/app/manifests/latest HTTP/1.1\nHost: x\nContent-Length: 4194305\n\n", "{")
	w.want(413, "MANIFEST_INVALID")
	s.wantFinish(t, upload, content, 10)
}

// TestTwoChunksAtOnce sends a second chunk while the first is on its way.
func TestTwoChunksAtOnce(t *testing.T) {
	s := serve(t, nil, nil)
	upload := s.start(t)
	first := s.dial(t)
	first.send("PATCH "+upload+" HTTP/1.1\nHost: x\nContent-Length: 20\nExpect: 100-continue\n\n", "")
	first.want(100, "") // the server reads the body, so it has the upload
	first.send("", content[:10])
	for _, request := range []string{"PATCH " + upload, "PUT " + upload + "?digest=" + digest.FromString(content).String(), "DELETE " + upload} {
		second := s.dial(t)
		second.send(request+" HTTP/1.1\nHost: x\nContent-Length: 5\n\n", "other")
		answer := second.want(416, "BLOB_UPLOAD_INVALID")
		if got := answer.Header.Get("Range"); got != "0-0" && !strings.HasPrefix(request, "DELETE") {
			t.Errorf("%s: Range %q, want what is there for sure", request, got)
		}
	}
	first.send("", content[10:20])
	first.want(202, "")
	s.wantRange(t, upload, "0-19")
	s.wantFinish(t, upload, content, 20)
}

func TestStalledBody(t *testing.T) {
	s := serve(t, nil, func(o *oci.Options) { o.StallTimeout = 300 * time.Millisecond })
	upload := s.start(t)
	w := s.dial(t)
	w.send("PATCH "+upload+" HTTP/1.1\nHost: x\nContent-Length: 28\n\n", content[:10])
	answer := w.want(400, "stalled")
	if !answer.Close {
		t.Error("the connection stays open though the rest of the body may still come")
	}
	s.wantRange(t, upload, "0-9")
	s.wantFinish(t, upload, content, 10)

	w = s.dial(t)
	w.send("PUT /v2/team/app/manifests/latest HTTP/1.1\nHost: x\nContent-Length: 28\n\n", "{")
	w.want(400, "SIZE_INVALID")
}

// TestStalledReader asks for a blob and does not take it.
func TestStalledReader(t *testing.T) {
	s := serve(t, nil, func(o *oci.Options) { o.StallTimeout = 300 * time.Millisecond })
	big := strings.Repeat("x", 64<<20) // more than sockets take
	answer, err := http.Post(s.URL+"/v2/team/app/blobs/uploads/?digest="+digest.FromString(big).String(), "", strings.NewReader(big))
	if err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	<-s.accesses
	s.dial(t).send("GET /v2/team/app/blobs/"+digest.FromString(big).String()+" HTTP/1.1\nHost: x\n\n", "")
	select {
	case a := <-s.accesses:
		if a.Operation != "getBlob" || a.Sent >= int64(len(big)) {
			t.Errorf("%s has sent %d bytes", a.Operation, a.Sent)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server waits for a client that takes nothing")
	}
}

// TestRefusedWithoutTheBody refuses requests whose bodies nobody wants, and which do
// not come.
func TestRefusedWithoutTheBody(t *testing.T) {
	s := serve(t, nil, func(o *oci.Options) { o.StallTimeout = 300 * time.Millisecond })
	for request, code := range map[string]int{
		"PATCH /v2/team/app/blobs/uploads/made-up": 404,
		"PUT /v2/Team/manifests/latest":            400,
		"GET /v2/_catalog":                         200,
		"PUT /v2/team/app/tags/list":               405,
		"POST /token":                              404,
	} {
		w := s.dial(t)
		w.send(request+" HTTP/1.1\nHost: x\nContent-Length: 100\n\n", "")
		if answer := w.want(code, ""); !answer.Close {
			t.Errorf("%s: the connection stays open though the body may still come", request)
		}
	}
}

// TestRefusedBeforeTheBody answers clients that ask before they send.
func TestRefusedBeforeTheBody(t *testing.T) {
	s := serve(t, nil, nil)
	for _, target := range []string{
		"/v2/team/app/blobs/uploads/made-up",
		"/v2/Team/blobs/uploads/made-up",
	} {
		w := s.dial(t)
		w.send("PATCH "+target+" HTTP/1.1\nHost: x\nContent-Length: 1000000000\nExpect: 100-continue\n\n", "")
		answer, err := http.ReadResponse(w.in, nil)
		if err != nil || answer.StatusCode < 400 {
			t.Errorf("%s: %v, %v", target, answer, err)
		}
	}
}

// TestChunkLongerThanItsRange sends more than Content-Range says, with no length that
// would tell.
func TestChunkLongerThanItsRange(t *testing.T) {
	s := serve(t, nil, nil)
	upload := s.start(t)
	w := s.dial(t)
	w.send("PATCH "+upload+" HTTP/1.1\nHost: x\nContent-Range: 0-9\nTransfer-Encoding: chunked\n\n1c\n"+content+"\n0\n\n", "")
	w.want(400, "SIZE_INVALID")
	s.wantRange(t, upload, "0-9")
	s.wantFinish(t, upload, content, 10)
}
