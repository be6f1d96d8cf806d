package scan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/remote"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
	"berth/storage/queue"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a registry whose images are scanned by workers of the tests, over HTTP.
type world struct {
	*testing.T
	ctx     context.Context
	db      *meta.DB
	engine  *engine.Engine
	service *scan.Service
	url     string
	now     func() time.Time // moves on by passed
	passed  time.Duration
}

// How long workers of the tests hold a job.
const (
	lease      = time.Minute
	shortLease = 300 * time.Millisecond
)

func onBoth(t *testing.T, run func(w *world)) { onBothWith(t, scan.Options{Lease: lease}, run) }

func onBothWith(t *testing.T, opts scan.Options, run func(w *world)) {
	t.Run("SQLite", func(t *testing.T) {
		run(newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "berth.db"), opts))
	})
	t.Run("PostgreSQL", func(t *testing.T) { run(newWorld(t, pgtest.Database(t), opts)) })
}

func newWorld(t *testing.T, url string, opts scan.Options) *world {
	t.Helper()
	w := &world{T: t, ctx: t.Context()}
	w.now = func() time.Time { return time.Now().Add(w.passed) }
	db, err := meta.Open(t.Context(), url, meta.Options{Now: w.now})
	w.must(err)
	t.Cleanup(func() { w.must(db.Close()) })
	w.db = db
	w.engine = engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
	opts.Clock, opts.Backoff = w.now, func(int) time.Duration { return 0 }
	w.service = scan.NewService(db, opts)
	server := httptest.NewServer(remote.NewHandler(w.service, remote.Options{
		Authenticate: func(r *http.Request) error {
			if r.Header.Get("Authorization") != "Bearer worker" {
				return registry.ErrUnauthorized.With("you are no worker")
			}
			return nil
		},
		Token: func(_ context.Context, repos []registry.Name, life time.Duration) (string, error) {
			return fmt.Sprint(repos, life), nil
		},
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// scanAll has everything scanned on push.
func (w *world) scanAll() {
	w.Helper()
	w.configure(`{"scanType":"BASIC","rules":[{"scanFrequency":"SCAN_ON_PUSH","repositoryFilters":[{"filter":"*","filterType":"WILDCARD"}]}]}`)
}

func (w *world) configure(text string) {
	w.Helper()
	_, err := w.engine.SetSetting(w.ctx, registry.ScanningSetting, json.RawMessage(text))
	w.must(err)
}

func (w *world) push(repo registry.Name, image registrytest.Image, tags ...registry.Tag) {
	w.Helper()
	for _, child := range image.Children {
		w.push(repo, child)
	}
	for _, b := range image.Blobs {
		_, err := w.engine.PutBlob(w.ctx, repo, b.Chunk(), b.Digest)
		w.must(err)
	}
	_, err := w.engine.PutManifest(w.ctx, repo, image.Manifest, tags)
	w.must(err)
}

// database makes another vulnerability database the present one.
func (w *world) database(name string) digest.Digest {
	w.Helper()
	d := digest.FromString(name)
	w.must(w.db.Update(w.ctx, func(tx *meta.Tx) error {
		return tx.PutVulnerabilityDatabase(w.ctx, scan.Database{
			Kind: scan.Vulnerabilities, Repository: "berth/trivy-db", Digest: d, Layer: d, UpdatedAt: w.now(), Source: name,
		})
	}))
	return d
}

// state is how the scan of an image stands.
func (w *world) state(repo registry.Name, d digest.Digest) scan.Scan {
	w.Helper()
	s, err := w.service.Scan(w.ctx, repo, d)
	w.must(err)
	return s
}

// start has an image scanned by hand.
func (w *world) start(repo registry.Name, d digest.Digest, how scan.StartOptions) {
	w.Helper()
	_, err := w.service.Start(w.ctx, repo, d, how)
	w.must(err)
}

func (w *world) wantStatus(repo registry.Name, d digest.Digest, status scan.Status, reason string) {
	w.Helper()
	if s := w.state(repo, d); s.Status != status || !strings.Contains(s.Reason, reason) || reason == "" && s.Reason != "" {
		w.Fatalf("the scan is %s, %q; want %s, %q", s.Status, s.Reason, status, reason)
	}
}

func (w *world) wantJobs(n int) {
	w.Helper()
	jobs, err := w.db.Jobs(w.ctx, queue.Filter{}, 0, 1000)
	w.must(err)
	if len(jobs) != n {
		w.Fatalf("there are %d jobs, want %d: %+v", len(jobs), n, jobs)
	}
}

// ask sends a request as a worker does and reads the answer into out, if it is one.
func (w *world) ask(method, path, secret string, body, out any) (status int, said string) {
	w.Helper()
	sent, err := json.Marshal(body)
	w.must(err)
	if raw, ok := body.([]byte); ok {
		sent = raw
	}
	r, err := http.NewRequestWithContext(w.ctx, method, w.url+path, bytes.NewReader(sent))
	w.must(err)
	r.Header.Set("Authorization", "Bearer worker")
	r.Header.Set(remote.LeaseHeader, secret)
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	w.must(err)
	if resp.StatusCode == http.StatusOK && out != nil {
		w.must(json.Unmarshal(answer, out))
	}
	return resp.StatusCode, string(answer)
}

// worker is one that has the database with a digest, or none.
type worker struct {
	*world
	name     string
	database digest.Digest
}

func (k worker) lease(wait time.Duration) (j scan.Job, got bool) {
	k.Helper()
	q := scan.LeaseRequest{Worker: k.name, Scanner: "fake 1", Wait: wait}
	if k.database != "" {
		q.Databases = map[scan.DatabaseKind]digest.Digest{scan.Vulnerabilities: k.database}
	}
	switch status, said := k.ask("POST", "/scanner/lease", "", q, &j); status {
	case http.StatusOK:
		return j, true
	case http.StatusNoContent:
	default:
		k.Fatalf("lease: %d %s", status, said)
	}
	return j, false
}

// take leases the job there has to be.
func (k worker) take() scan.Job {
	k.Helper()
	j, got := k.lease(0)
	if !got {
		k.Fatal("there is no job")
	}
	return j
}

func (k worker) wantNone() {
	k.Helper()
	if j, got := k.lease(0); got {
		k.Fatalf("there is the job %+v", j)
	}
}

func path(j scan.Job, what string) string { return fmt.Sprintf("/scanner/jobs/%d/%s", j.ID, what) }

// result is one with findings of these vulnerabilities.
func (k worker) result(j scan.Job, ids ...string) scan.Result {
	r := scan.Result{Digest: j.Digest, Scanner: "fake 1"}
	if !j.HasInventory {
		r.Inventory, r.OS, r.Packages = inventory(j.Digest), "debian 12", 3
	}
	if j.Match {
		r.Database, r.Findings = k.database, []scan.Finding{}
		for _, id := range ids {
			r.Findings = append(r.Findings, finding(id))
		}
	}
	return r
}

func inventory(d digest.Digest) json.RawMessage {
	return fmt.Appendf(nil, `{"bomFormat":"CycloneDX","serialNumber":%q}`, d)
}

// finding is one of a severity that the name ends with.
func finding(id string) scan.Finding {
	f := scan.Finding{ID: id, Severity: scan.Low, Installed: "1.0", Package: scan.Package{Name: "openssl", Type: "debian"}}
	if _, severity, ok := strings.Cut(id, "/"); ok {
		f.Severity = scan.Severity(severity)
	}
	return f
}

// end sends the result of a job and wants an answer.
func (k worker) end(j scan.Job, r scan.Result, want int) (said string) {
	k.Helper()
	status, said := k.ask("PUT", path(j, "result"), j.Lease, r, nil)
	if status != want {
		k.Fatalf("result: %d %s, want %d", status, said, want)
	}
	return said
}

func (k worker) fail(j scan.Job, f scan.Failure, want int) {
	k.Helper()
	if status, said := k.ask("POST", path(j, "failure"), j.Lease, f, nil); status != want {
		k.Fatalf("failure: %d %s, want %d", status, said, want)
	}
}

// scanned does the job that there is.
func (k worker) scanned(ids ...string) scan.Job {
	k.Helper()
	j := k.take()
	k.end(j, k.result(j, ids...), http.StatusNoContent)
	return j
}

// found are the vulnerabilities of an image, as they are shown.
func (w *world) found(repo registry.Name, d digest.Digest) (ids []string) {
	w.Helper()
	r, err := w.service.Report(w.ctx, repo, d)
	w.must(err)
	for _, f := range r.Findings {
		ids = append(ids, f.ID)
	}
	return ids
}

func (w *world) wantError(what string, err, kind error) {
	w.Helper()
	if !errors.Is(err, kind) {
		w.Fatalf("%s: %v, want %v", what, err, kind)
	}
}

// platforms is an index whose images are for some platforms.
func platforms(w *world, index registry.Manifest, names ...string) registry.Manifest {
	w.Helper()
	var doc map[string]any
	w.must(json.Unmarshal(index.Bytes, &doc))
	for i, child := range doc["manifests"].([]any) {
		parts := strings.Split(names[i]+"/", "/")
		child.(map[string]any)["platform"] = map[string]any{"os": parts[0], "architecture": parts[1], "variant": parts[2]}
	}
	var err error
	index.Bytes, err = json.Marshal(doc)
	w.must(err)
	index.Digest = digest.FromBytes(index.Bytes)
	return index
}
