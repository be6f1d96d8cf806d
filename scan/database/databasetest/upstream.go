package databasetest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Upstream is another registry, from which one can pull.
type Upstream struct {
	*httptest.Server

	// Before, if set, sees requests first, and reports whether it has answered.
	Before func(w http.ResponseWriter, r *http.Request) bool

	// Password, if set, is what a token is given out for, to the user "reader".
	Password string

	mu       sync.Mutex
	contents map[string]content // by path
	requests []string
}

type content struct {
	mediaType string
	bytes     []byte
}

// NewUpstream starts one that ends with the test.
func NewUpstream(t testing.TB) *Upstream {
	u := &Upstream{contents: map[string]content{}}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

// Reference is how it is asked for what has a tag.
func (u *Upstream) Reference(name string) string {
	return strings.TrimPrefix(u.URL, "http://") + "/" + name
}

// Push puts a database there, named like "aqua/trivy-db:2", and returns the digest of its
// manifest.
func (u *Upstream) Push(t testing.TB, name, layerType string, layer []byte) digest.Digest {
	t.Helper()
	manifest, config := Manifest(t, layerType, layer)
	return u.PushManifest(name, ocispec.MediaTypeImageManifest, manifest, config, layer)
}

// PushManifest puts a manifest there, and blobs.
func (u *Upstream) PushManifest(name, mediaType string, manifest []byte, blobs ...[]byte) digest.Digest {
	repo, tag, _ := strings.Cut(name, ":")
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, b := range blobs {
		u.contents["/v2/"+repo+"/blobs/"+digest.FromBytes(b).String()] = content{"application/octet-stream", b}
	}
	d := digest.FromBytes(manifest)
	for _, reference := range []string{tag, d.String()} {
		u.contents["/v2/"+repo+"/manifests/"+reference] = content{mediaType, manifest}
	}
	return d
}

// Manifest is that of a layer, with its config.
func Manifest(t testing.TB, layerType string, layer []byte) (manifest, config []byte) {
	t.Helper()
	config = []byte("{}")
	describe := func(mediaType string, b []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: describe("application/vnd.aquasec.trivy.config.v1+json", config), Layers: []ocispec.Descriptor{describe(layerType, layer)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return manifest, config
}

// Requests are those that came since it was last asked, such as "HEAD /v2/aqua/trivy-db/manifests/2".
func (u *Upstream) Requests() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.requests
	u.requests = nil
	return all
}

// ServeHTTP implements [http.Handler].
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	u.requests = append(u.requests, r.Method+" "+r.URL.Path)
	c, found := u.contents[r.URL.Path]
	u.mu.Unlock()
	if u.Before != nil && u.Before(w, r) {
		return
	}
	if u.Password != "" && !u.authenticated(w, r) {
		return
	}
	if !found {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"there is no such thing"}]}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", c.mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(c.bytes)))
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(c.bytes).String())
	w.Write(c.bytes)
}

// authenticated gives out a token, or wants to see it.
func (u *Upstream) authenticated(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/token" {
		if user, password, _ := r.BasicAuth(); user == "reader" && password == u.Password {
			w.Write([]byte(`{"token":"the-token"}`))
		} else {
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}`, http.StatusUnauthorized)
		}
		return false
	}
	if r.Header.Get("Authorization") != "Bearer the-token" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+u.URL+`/token",service="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}`, http.StatusUnauthorized)
		return false
	}
	return true
}
