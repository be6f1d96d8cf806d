package worker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/registry"
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

// fakeJob is a job and how it went.
type fakeJob struct {
	scan.Job
	until     time.Time // end of its lease
	inventory json.RawMessage
	results   []scan.Result
	failures  []scan.Failure
	leases    int
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

func (j *fakeJob) ended() bool {
	return len(j.results) > 0 || slices.ContainsFunc(j.failures, func(f scan.Failure) bool { return f.Permanent })
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

// push adds an image of these layers, and a job about it.
func (r *fakeRegistry) push(repo registry.Name, layers ...string) *fakeJob {
	return r.add(scan.Job{Repository: repo, Digest: r.image(repo, layers...)})
}

// image adds an image of these layers.
func (r *fakeRegistry) image(repo registry.Name, layers ...string) digest.Digest {
	type descriptor struct {
		Digest digest.Digest `json:"digest"`
	}
	manifest := map[string]any{"schemaVersion": 2, "repository": repo}
	var list []descriptor
	for _, l := range layers {
		list = append(list, descriptor{r.addBlob([]byte(l))})
	}
	manifest["layers"] = list
	b, err := json.Marshal(manifest)
	if err != nil {
		r.t.Fatal(err)
	}
	d := digest.FromBytes(b)
	r.mu.Lock()
	r.manifests[string(repo)+"@"+d.String()] = b
	r.mu.Unlock()
	return d
}

// add adds a job.
func (r *fakeRegistry) add(job scan.Job) *fakeJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	job.ID = int64(len(r.jobs) + 1)
	job.Match = len(r.databases) > 0
	j := &fakeJob{Job: job}
	r.jobs = append(r.jobs, j)
	r.ring()
	return j
}

// setDatabase has the registry name a database whose layer is what is given.
func (r *fakeRegistry) setDatabase(layer []byte, updated, imported time.Time) scan.Database {
	d := scan.Database{
		Kind: scan.Vulnerabilities, Repository: "berth/trivy-db", Layer: r.addBlob(layer),
		UpdatedAt: updated, ImportedAt: imported, Version: 2,
	}
	d.Digest = digest.FromString(fmt.Sprint("manifest of", d.Layer, updated, imported))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.databases = []scan.Database{d}
	return d
}

// has waits until a job satisfies ok.
func (r *fakeRegistry) has(j *fakeJob, what string, ok func(j *fakeJob) bool) {
	r.t.Helper()
	r.until(fmt.Sprintf("job about %s has %s", j.Repository, what), func() bool { return ok(j) })
}

// until waits until ok, which is asked under the lock.
func (r *fakeRegistry) until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r.mu.Lock()
		held := ok()
		r.mu.Unlock()
		if held {
			return
		}
		if time.Now().After(deadline) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, j := range r.jobs {
				r.t.Logf("%s: %d leases, results %+v, failures %+v", j.Repository, j.leases, j.results, j.failures)
			}
			r.t.Fatalf("it never came to be that %s", what)
		}
	}
}

func (r *fakeRegistry) result(j *fakeJob) scan.Result {
	r.t.Helper()
	r.has(j, "a result", func(j *fakeJob) bool { return len(j.results) > 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	return j.results[0]
}

func (r *fakeRegistry) failure(j *fakeJob) scan.Failure {
	r.t.Helper()
	r.has(j, "a failure", func(j *fakeJob) bool { return len(j.failures) > 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	return j.failures[0]
}

func (r *fakeRegistry) setAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// told waits until a worker has told a trouble in which there is text.
func (r *fakeRegistry) told(text string) {
	r.t.Helper()
	r.until("a worker tells: "+text, func() bool {
		return len(r.requests) > 0 && strings.Contains(r.requests[len(r.requests)-1].Trouble, text)
	})
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

// archive packs files as the layer of a database.
func archive(files ...tarFile) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range files {
		kind := f.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		size := int64(len(f.content))
		if kind != tar.TypeReg {
			size = 0
		}
		w.WriteHeader(&tar.Header{Name: f.name, Typeflag: kind, Mode: 0o644, Size: size, Linkname: f.link})
		if size > 0 {
			io.WriteString(w, f.content)
		}
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

type tarFile struct {
	name, content string
	kind          byte
	link          string
}

// database is the layer of a database with this content.
func database(content string) []byte {
	return archive(tarFile{name: "trivy.db", content: content}, tarFile{name: "metadata.json", content: "{}"})
}
