package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/registry"
	"berth/scan"
	"berth/storage/queue"
)

// clientOf is a client of a server that does what h does.
func clientOf(t *testing.T, opts ClientOptions, h http.HandlerFunc) *Client {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := NewClient(server.URL+"/", opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBase(t *testing.T) {
	for _, base := range []string{"", "registry.example.com", "ftp://registry.example.com", "https://registry.example.com/path", "https://user:password@registry.example.com", "https://registry.example.com?x=y", "http://"} {
		if _, err := NewClient(base, ClientOptions{}); err == nil || !strings.Contains(err.Error(), "should look like https://registry.example.com") {
			t.Errorf("%q: %v", base, err)
		}
		if _, err := NewPuller(base, 0); err == nil {
			t.Errorf("%q is good enough to pull from", base)
		}
	}
}

// TestAnswers has the client understand what the registry says.
func TestAnswers(t *testing.T) {
	job := scan.Job{ID: 7, Lease: "secret"}
	for _, test := range []struct {
		status  int
		body    string
		want    error
		message string
	}{
		{http.StatusUnauthorized, `{"message":"who are you?"}`, registry.ErrUnauthorized, "who are you?"},
		{http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"not allowed to scan"}]}`, registry.ErrDenied, "not allowed to scan"},
		{http.StatusConflict, `{"message":"too late"}`, queue.ErrLeaseLost, ""},
		{http.StatusUnprocessableEntity, `{"message":"this cannot be"}`, nil, "this cannot be"},
		{http.StatusNotFound, `<html>`, nil, "the registry says 404 Not Found"},
		{http.StatusRequestEntityTooLarge, ``, nil, "the registry says 413"},
	} {
		asked := 0
		c := clientOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
			asked++
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		})
		err := c.Failure(t.Context(), job, scan.Failure{Reason: "none"})
		var refused *Refused
		switch {
		case test.want != nil && !errors.Is(err, test.want),
			test.want == nil && (!errors.As(err, &refused) || refused.Status != test.status),
			!strings.Contains(fmt.Sprint(err), test.message), Away(err):
			t.Errorf("%d %s: %v", test.status, test.body, err)
		}
		if asked != 1 {
			t.Errorf("%d: it was asked %d times", test.status, asked)
		}
	}
}

// TestRequests looks at what is sent.
func TestRequests(t *testing.T) {
	c := clientOf(t, ClientOptions{Authorize: func(r *http.Request) { r.SetBasicAuth("scanner", "password") }}, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "scanner" || password != "password" {
			t.Errorf("%s %s comes from %s", r.Method, r.URL, user)
		}
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			body, _ = io.ReadAll(z)
		}
		switch what := r.Method + " " + r.URL.EscapedPath(); what {
		case "POST /scanner/lease":
			w.WriteHeader(http.StatusNoContent)
		case "POST /scanner/jobs/7/extend":
			io.WriteString(w, `{"expires":60000000000,"token":"next"}`)
		case "GET /scanner/jobs/7/inventory":
			io.WriteString(w, `{"bomFormat":"CycloneDX"}`)
		case "PUT /scanner/jobs/7/result":
			if want := `"inventory":{"bomFormat":"CycloneDX"}`; !bytes.Contains(body, []byte(want)) || !bytes.Contains(body, []byte(`"findings":null`)) {
				t.Errorf("the result is %s", body)
			}
			w.WriteHeader(http.StatusNoContent)
		case "POST /scanner/layers/missing":
			if string(body) != `{"keys":["sha256:a","sha256:b"]}` {
				t.Errorf("keys are %s", body)
			}
			io.WriteString(w, `{"keys":["sha256:b"]}`)
		case "GET /scanner/layers/sha256:a":
			io.WriteString(w, "what is kept")
		case "GET /scanner/layers/sha256:b":
			w.WriteHeader(http.StatusNotFound)
		case "PUT /scanner/layers/sha256:b":
			if string(body) != "what was found" {
				t.Errorf("a layer is %s", body)
			}
			w.WriteHeader(http.StatusNoContent)
		default:
			t.Errorf("it asks for %s", what)
			w.WriteHeader(http.StatusNotFound)
		}
		if strings.Contains(r.URL.Path, "/jobs/") && r.Header.Get(LeaseHeader) != "secret" {
			t.Errorf("%s %s does not show the lease", r.Method, r.URL)
		}
	})
	ctx, job := t.Context(), scan.Job{ID: 7, Lease: "secret"}
	if _, ok, err := c.Lease(ctx, scan.LeaseRequest{}); ok || err != nil {
		t.Errorf("there is a job: %t, %v", ok, err)
	}
	if e, err := c.Extend(ctx, job); e != (Extension{Expires: time.Minute, Token: "next"}) || err != nil {
		t.Errorf("the lease is extended by %+v, %v", e, err)
	}
	inventory, err := c.Inventory(ctx, job)
	if err != nil {
		t.Error(err)
	}
	if err := c.Result(ctx, job, scan.Result{Inventory: inventory}); err != nil {
		t.Error(err)
	}
	if missing, err := c.Missing(ctx, []string{"sha256:a", "sha256:b"}); len(missing) != 1 || missing[0] != "sha256:b" || err != nil {
		t.Errorf("missing are %q, %v", missing, err)
	}
	if kept, err := c.Layer(ctx, "sha256:a"); string(kept) != "what is kept" || err != nil {
		t.Errorf("kept is %q, %v", kept, err)
	}
	if _, err := c.Layer(ctx, "sha256:b"); !errors.Is(err, registry.ErrBlobUnknown) {
		t.Errorf("of a layer nothing is kept of: %v", err)
	}
	if err := c.PutLayer(ctx, "sha256:b", []byte("what was found")); err != nil {
		t.Error(err)
	}
	if err := c.PutLayer(ctx, "sha256:b", make([]byte, scan.MaxLayer+1)); err == nil {
		t.Error("too much is kept of a layer")
	}
}

// TestRetry has the registry be away for a while, and for longer than one waits.
func TestRetry(t *testing.T) {
	var asked atomic.Int64
	flaky := func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(http.StatusBadGateway)
		case 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"keys":[`) // and there it breaks off
		default:
			io.WriteString(w, `{"keys":["a"]}`)
		}
	}
	c := clientOf(t, ClientOptions{}, flaky)
	began := time.Now()
	if keys, err := c.Missing(t.Context(), []string{"a"}); len(keys) != 1 || err != nil {
		t.Errorf("missing are %q, %v", keys, err)
	}
	if asked.Load() != 5 || time.Since(began) < time.Second {
		t.Errorf("it was asked %d times within %s", asked.Load(), time.Since(began))
	}

	c = clientOf(t, ClientOptions{Patience: 300 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	if _, err := c.Databases(t.Context()); !Away(err) || !strings.Contains(err.Error(), "503") {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c = clientOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not notice that the client goes away
		<-r.Context().Done()
	})
	began = time.Now()
	if _, _, err := c.Lease(ctx, scan.LeaseRequest{Wait: time.Minute}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// TestAway has a worker's log say once that the registry cannot be reached, and once that it can be again.
func TestAway(t *testing.T) {
	var asked atomic.Int32
	var log bytes.Buffer
	c := clientOf(t, ClientOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n == 1, n == 3, n == 4: // n == 2 is the answer to what was asked first
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			io.WriteString(w, "{}")
		}
	})
	ask := func() string {
		log.Reset()
		if _, err := c.Databases(t.Context()); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	if said := ask(); said != "" {
		t.Errorf("of a moment it is said: %s", said)
	}
	said := ask()
	if strings.Count(said, "the registry does not answer") != 1 || !strings.Contains(said, "503") || strings.Count(said, "the registry answers again") != 1 {
		t.Errorf("it is said: %s", said)
	}
	if said := ask(); said != "" {
		t.Errorf("afterwards it is said: %s", said)
	}
}

// TestLimits has the registry answer with more than it should.
func TestClientLimits(t *testing.T) {
	c := clientOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 2<<20)) })
	if _, err := c.Databases(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("the error is %v", err)
	}
	c = clientOf(t, ClientOptions{}, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") })
	if _, err := c.Databases(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer as a registry of berth does") {
		t.Errorf("the error is %v", err)
	}
	if _, err := c.Inventory(t.Context(), scan.Job{}); err == nil || !strings.Contains(err.Error(), "is not JSON") {
		t.Errorf("the error is %v", err)
	}
}
