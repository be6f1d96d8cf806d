package worker

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/scan"
	"berth/scan/remote"

	"github.com/opencontainers/go-digest"
)

// fakeRegistry is a registry as workers see it, with leases that run out.
type fakeRegistry struct {
	t      *testing.T
	server *httptest.Server
	url    string
	lease  time.Duration

	mu        sync.Mutex
	bell      chan struct{} // closed when there may be a job
	jobs      []*fakeJob
	manifests map[string][]byte // by repository and digest
	blobs     map[digest.Digest][]byte
	layers    map[string][]byte
	databases []scan.Database
	reads     map[digest.Digest]int // of blobs
	requests  []scan.LeaseRequest
	away      bool
	cut       int             // how many answers with a blob break off half-way
	slow      <-chan struct{} // what answers with a blob wait for, if it is set
	tokens    map[string]bool
}

func newRegistry(t *testing.T) *fakeRegistry {
	r := &fakeRegistry{
		t: t, lease: time.Minute, bell: make(chan struct{}), manifests: map[string][]byte{}, blobs: map[digest.Digest][]byte{},
		layers: map[string][]byte{}, reads: map[digest.Digest]int{}, tokens: map[string]bool{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /scanner/lease", r.leaseJob)
	mux.HandleFunc("POST /scanner/jobs/{id}/extend", r.leased(func(w http.ResponseWriter, _ *http.Request, j *fakeJob) {
		j.until = time.Now().Add(r.lease)
		answerJSON(w, remote.Extension{Expires: r.lease, Token: r.token()})
	}))
	mux.HandleFunc("GET /scanner/jobs/{id}/inventory", r.leased(func(w http.ResponseWriter, _ *http.Request, j *fakeJob) { w.Write(j.inventory) }))
	mux.HandleFunc("PUT /scanner/jobs/{id}/result", r.leased(func(w http.ResponseWriter, q *http.Request, j *fakeJob) {
		var result scan.Result
		decode(r.t, q, &result)
		if result.Digest != j.Digest {
			http.Error(w, `{"message":"another image"}`, http.StatusUnprocessableEntity)
			return
		}
		j.results = append(j.results, result)
		w.WriteHeader(http.StatusNoContent)
	}))
	mux.HandleFunc("POST /scanner/jobs/{id}/failure", r.leased(func(w http.ResponseWriter, q *http.Request, j *fakeJob) {
		var f scan.Failure
		decode(r.t, q, &f)
		j.failures = append(j.failures, f)
		j.until = time.Time{} // due again, unless it is permanent
		w.WriteHeader(http.StatusNoContent)
	}))
	mux.HandleFunc("POST /scanner/layers/missing", func(w http.ResponseWriter, q *http.Request) {
		var keys, missing remote.Keys
		decode(r.t, q, &keys)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, k := range keys.Keys {
			if _, found := r.layers[k]; !found {
				missing.Keys = append(missing.Keys, k)
			}
		}
		answerJSON(w, missing)
	})
	mux.HandleFunc("GET /scanner/layers/{key}", func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		w.Write(r.layers[q.PathValue("key")])
	})
	mux.HandleFunc("PUT /scanner/layers/{key}", func(w http.ResponseWriter, q *http.Request) {
		body := body(r.t, q)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.layers[q.PathValue("key")] = body
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /scanner/databases", func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		answerJSON(w, remote.Databases{Databases: r.databases, Token: r.token()})
	})
	mux.HandleFunc("GET /v2/{org}/{name}/manifests/{digest}", func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		m, found := r.manifests[q.PathValue("org")+"/"+q.PathValue("name")+"@"+q.PathValue("digest")]
		if !found {
			http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such manifest"}]}`, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Write(m)
	})
	mux.HandleFunc("GET /v2/{org}/{name}/blobs/{digest}", r.serveBlob)
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		away := r.away
		authorized := !strings.HasPrefix(q.URL.Path, "/v2/") || r.tokens[strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")]
		r.mu.Unlock()
		switch {
		case away:
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.Close()
			}
		case !authorized:
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		default:
			mux.ServeHTTP(w, q)
		}
	}))
	r.url = r.server.URL
	t.Cleanup(r.server.Close)
	return r
}

// token makes a token. It is called under the lock.
func (r *fakeRegistry) token() string {
	token := "token-" + strconv.Itoa(len(r.tokens))
	r.tokens[token] = true
	return token
}

func (r *fakeRegistry) ring() {
	close(r.bell)
	r.bell = make(chan struct{})
}

func (r *fakeRegistry) leaseJob(w http.ResponseWriter, q *http.Request) {
	var request scan.LeaseRequest
	decode(r.t, q, &request)
	r.mu.Lock()
	r.requests = append(r.requests, request)
	r.mu.Unlock()
	for end := time.After(request.Wait); ; {
		r.mu.Lock()
		bell := r.bell
		for _, j := range r.jobs {
			if !j.ended() && time.Now().After(j.until) && q.Context().Err() == nil {
				j.leases++
				j.Attempt = j.leases
				j.Lease, j.Token, j.Expires = fmt.Sprintf("%d-%d", j.ID, j.leases), r.token(), r.lease
				j.until = time.Now().Add(r.lease)
				answerJSON(w, j.Job)
				r.mu.Unlock()
				return
			}
		}
		r.mu.Unlock()
		select {
		case <-end:
			w.WriteHeader(http.StatusNoContent)
			return
		case <-q.Context().Done():
			return
		case <-bell:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// leased serves a request about a job under the lock, if its lease is that of the request.
func (r *fakeRegistry) leased(serve func(http.ResponseWriter, *http.Request, *fakeJob)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, j := range r.jobs {
			if q.PathValue("id") == strconv.FormatInt(j.ID, 10) && q.Header.Get(remote.LeaseHeader) == j.Lease && !j.ended() && time.Now().Before(j.until) {
				serve(w, q, j)
				return
			}
		}
		http.Error(w, `{"message":"the lease is over"}`, http.StatusConflict)
	}
}

func (r *fakeRegistry) serveBlob(w http.ResponseWriter, q *http.Request) {
	d := digest.Digest(q.PathValue("digest"))
	r.mu.Lock()
	content, found := r.blobs[d]
	r.reads[d]++
	cut, slow := r.cut > 0, r.slow
	if cut {
		r.cut--
	}
	r.mu.Unlock()
	if !found {
		http.Error(w, `{"errors":[{"code":"BLOB_UNKNOWN","message":"no such blob"}]}`, http.StatusNotFound)
		return
	}
	if slow != nil {
		<-slow
	}
	if cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:len(content)/2])
		panic(http.ErrAbortHandler)
	}
	http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(content))
}

// addBlob adds a blob, and says what it is called.
func (r *fakeRegistry) addBlob(content []byte) digest.Digest {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := digest.FromBytes(content)
	r.blobs[d] = content
	return d
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func body(t *testing.T, q *http.Request) []byte {
	from := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(q.Body)
		if err != nil {
			t.Error(err)
			return nil
		}
		from = z
	}
	b, err := io.ReadAll(from)
	if err != nil {
		t.Log(err) // a worker that was killed
	}
	return b
}

func decode(t *testing.T, q *http.Request, v any) {
	if err := json.Unmarshal(body(t, q), v); err != nil {
		t.Log(err)
	}
}
