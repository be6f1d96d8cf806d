package oci_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/registry"
	"berth/registry/oci"
)

// waiting is a registry whose lists take until their client has gone away.
type waiting struct {
	registry.Registry
	asked chan auth.Origin
}

func (w waiting) Tags(ctx context.Context, _ registry.Name, _ registry.Tag, _ int) ([]registry.Tag, error) {
	w.asked <- auth.OriginFrom(ctx)
	<-ctx.Done()
	return nil, ctx.Err()
}

// broken has blobs that cannot be read to their end.
type broken struct {
	registry.Registry
	err error
}

func (b broken) OpenBlob(_ context.Context, _ registry.Name, d digest.Digest, _ registry.Span) (registry.Blob, error) {
	return registry.Blob{Descriptor: registry.Descriptor{Digest: d, Size: 1000}, Content: &brokenContent{err: b.err}}, nil
}

type brokenContent struct {
	at  int64
	err error
}

func (c *brokenContent) Read(p []byte) (int, error) {
	if c.at >= 500 {
		return 0, c.err
	}
	n := min(len(p), int(500-c.at))
	c.at += int64(n)
	return n, nil
}

func (c *brokenContent) Seek(offset int64, whence int) (int64, error) {
	if c.at = offset; whence == io.SeekEnd {
		c.at = 1000
	}
	return c.at, nil
}

func (c *brokenContent) Close() error { return nil }

// TestClientGoneIsNoFault has a client give up before the answer.
func TestClientGoneIsNoFault(t *testing.T) {
	slow := waiting{asked: make(chan auth.Origin, 1)}
	var log bytes.Buffer
	s := serveBehind(t, nil, func(o *oci.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Address = func(*http.Request) string { return "192.0.2.7" }
		o.Secure = func(*http.Request) bool { return true }
	}, func(next registry.Registry) registry.Registry {
		slow.Registry = next
		return slow
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/v2/team/app/tags/list", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if o := <-slow.asked; o.Address != "192.0.2.7" || !o.Secure || o.RequestID == "" {
			t.Errorf("the registry is told of %+v", o)
		}
		cancel()
	}()
	if _, err := http.DefaultTransport.RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	rec := <-s.accesses
	s.Close() // and so the line has been written
	if rec.Status != 499 || rec.Fault || rec.Err == nil || rec.Remote != "192.0.2.7" {
		t.Errorf("the record is %+v", rec)
	}
	if line := log.String(); !strings.Contains(line, "level=INFO") || !strings.Contains(line, "remote=192.0.2.7") {
		t.Errorf("the log has %s", line)
	}
}

// TestBrokenContentIsAFault has a disk fail in the middle of a blob.
func TestBrokenContentIsAFault(t *testing.T) {
	for name, failure := range map[string]error{"input/output error": errors.New("input/output error"), "500 bytes too early": io.EOF} {
		s := serveBehind(t, nil, nil, func(next registry.Registry) registry.Registry { return broken{next, failure} })
		answer, err := http.Get(s.URL + "/v2/team/app/blobs/" + digest.FromString("x").String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err == nil {
			t.Error("the client takes half of a blob for the whole")
		}
		answer.Body.Close()
		if rec := <-s.accesses; !rec.Fault || rec.Err == nil || !strings.Contains(rec.Err.Error(), name) {
			t.Errorf("the record is %+v, want %q", rec, name)
		}
	}
}

// TestNote: an endpoint that was added tells the log who asked, and for what.
func TestNote(t *testing.T) {
	var log bytes.Buffer
	s := oci.New(waiting{}, oci.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	s.Handle("/", "other", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		oci.Note(r.Context(), func(rec *oci.Record) {
			rec.Action, rec.Principal, rec.Repository, rec.Err = "PutImage", "ann", "team/app", errors.New("because")
		})
		w.WriteHeader(http.StatusInternalServerError)
	}))
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
	for _, want := range []string{"level=ERROR", "status=500", "principal=ann", "action=PutImage", "repository=team/app", "error=because"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in %s", want, &log)
		}
	}
	oci.Note(t.Context(), func(*oci.Record) { t.Error("there is no request") })
}
