package ecr_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"berth/registry/ecr"
)

// TestAnnouncedBodiesHoldNothing: who announces large bodies and sends nothing, or almost
// nothing, is in nobody's way.
func TestAnnouncedBodiesHoldNothing(t *testing.T) {
	f := newFace(t)
	server := httptest.NewServer(f)
	defer server.Close()
	for range 20 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-User: admin\r\nX-Amz-Target: AmazonEC2ContainerRegistry_V20150921.UploadLayerPart\r\n"+
			"Content-Length: %d\r\n\r\n{", 28<<20)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, bytes.NewReader([]byte("{}")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User", "admin")
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the answer is %s", answer.Status)
	}
}

// TestStrangersBodies are not read beyond their beginning.
func TestStrangersBodies(t *testing.T) {
	f := newFace(t)
	f.screen = func(r *http.Request) error {
		if r.Header.Get("X-User") != "admin" {
			return &ecr.Error{Status: http.StatusBadRequest, Type: "UnrecognizedClientException", Message: "who?"}
		}
		return nil
	}
	body := append([]byte(`{"repositoryName":"`), bytes.Repeat([]byte("x"), 1<<20)...)
	for user, wanted := range map[string]string{"admin": "SerializationException", "stranger": "UnrecognizedClientException"} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		reader := &counting{Reader: bytes.NewReader(body)}
		r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
		r.Header.Set("X-User", user)
		r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.PutImage")
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if got := w.Header().Get("X-Amzn-Errortype"); got != wanted {
			t.Errorf("%s hears %s, want %s", user, got, wanted)
		}
		if read := reader.n; user == "stranger" && read > 64<<10 {
			t.Errorf("%d bytes of a stranger were read", read)
		}
	}
}

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// TestBodySizes reads bodies of sizes at which buffers grow.
func TestBodySizes(t *testing.T) {
	f := newFace(t)
	for _, size := range []int{0, 1, 8<<10 - 1, 8 << 10, 8<<10 + 1, 16 << 10, 1<<20 + 1, 6 << 20} {
		body := append([]byte("{}"), bytes.Repeat([]byte(" "), max(size-2, 0))...)[:size]
		if status, answer, _ := f.raw("admin", "DescribeRegistry", body); status != http.StatusOK && !(size == 1) {
			t.Errorf("%d bytes: %d %v", size, status, answer)
		}
	}
	broken := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(bytes.NewReader(make([]byte, 20_000)), failing{}))
	broken.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry")
	w := httptest.NewRecorder()
	f.ServeHTTP(w, broken)
	if got := w.Header().Get("X-Amzn-Errortype"); got != "RequestAbortedException" {
		t.Errorf("a body that breaks off: %s", got)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the cable was cut") }
