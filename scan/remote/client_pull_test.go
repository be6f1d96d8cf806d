package remote

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// pullerOf is a puller from a server that does what h does.
func pullerOf(t *testing.T, patience time.Duration, h http.HandlerFunc) *Puller {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	p, err := NewPuller(server.URL, patience)
	if err != nil {
		t.Fatal(err)
	}
	p.SetToken("token")
	return p
}

func read(p *Puller, d digest.Digest) ([]byte, error) {
	b, err := p.Blob(context.Background(), "team/app", d)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(b)
}

// TestBlobGoesOn has a blob break off after some bytes, again and again.
func TestBlobGoesOn(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	d := digest.FromBytes(content)
	asked := 0
	p := pullerOf(t, 0, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Header.Get("Authorization") != "Bearer token" || r.URL.Path != "/v2/team/app/blobs/"+d.String() {
			t.Errorf("it asks for %s as %s", r.URL, r.Header.Get("Authorization"))
		}
		if asked == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.ServeContent(&cutWriter{ResponseWriter: w, left: 300_000}, r, "", time.Time{}, bytes.NewReader(content))
	})
	got, err := read(p, d)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if asked != 5 {
		t.Errorf("it was asked %d times", asked)
	}
	if err := p.Failed(); err != nil {
		t.Errorf("what came right in the end has failed: %v", err)
	}
}

// cutWriter breaks off after so many bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b[:min(len(b), w.left)])
	w.left -= n
	if w.left == 0 {
		w.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// TestBlobBad has the registry not give what it should.
func TestBlobBad(t *testing.T) {
	content := []byte("what it is")
	d := digest.FromBytes(content)
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"other bytes":  {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "what it is not") }, "are not those of the blob"},
		"fewer bytes":  {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "what") }, "are not those of the blob"},
		"nothing":      {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) }, "is not in the repository team/app any more"},
		"unauthorized": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "does not accept the credentials"},
		"gate": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"errors":[{"code":"DENIED","message":"blocked"}]}`)
		}, "blocked"},
		"away": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "cannot be reached"},
		"breaks off and knows no ranges": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			io.WriteString(w, "what")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "does not know ranges"},
	} {
		t.Run(name, func(t *testing.T) {
			p := pullerOf(t, 300*time.Millisecond, test.serve)
			_, err := read(p, d)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v", err)
			}
			if p.Failed() == nil {
				t.Error("it is not remembered that it failed")
			}
			if p.Failed() != nil {
				t.Error("it is remembered for ever")
			}
		})
	}
	p := pullerOf(t, 0, func(w http.ResponseWriter, r *http.Request) { t.Errorf("it asks for %s", r.URL) })
	if _, err := read(p, "sha256:../../etc/passwd"); err == nil {
		t.Error("something is pulled that is no digest")
	}
}

func TestManifest(t *testing.T) {
	content := []byte(`{"schemaVersion":2}`)
	d := digest.FromBytes(content)
	p := pullerOf(t, 300*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/team/app/manifests/" + d.String():
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Write(content)
		case "/v2/team/liar/manifests/" + d.String():
			io.WriteString(w, `{"schemaVersion":1}`)
		case "/v2/team/large/manifests/" + d.String():
			w.Write(make([]byte, registry.MaxManifestSize+1))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	got, mediaType, err := p.Manifest(t.Context(), "team/app", d)
	if !bytes.Equal(got, content) || mediaType != "application/vnd.oci.image.manifest.v1+json" || err != nil {
		t.Errorf("%s, %s, %v", got, mediaType, err)
	}
	for repo, want := range map[registry.Name]string{"team/liar": "is not " + d.String(), "team/large": "larger than 4 MiB", "team/none": "is not in the repository team/none any more"} {
		if _, _, err := p.Manifest(t.Context(), repo, d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", repo, err)
		}
	}
}
