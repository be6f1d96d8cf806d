package worker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/registry"
	"berth/scan"

	"github.com/opencontainers/go-digest"
)

// fakeJob is a job and how it went.
type fakeJob struct {
	scan.Job
	until     time.Time // end of its lease
	inventory json.RawMessage
	results   []scan.Result
	failures  []scan.Failure
	leases    int
}

func (j *fakeJob) ended() bool {
	return len(j.results) > 0 || slices.ContainsFunc(j.failures, func(f scan.Failure) bool { return f.Permanent })
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
