package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/registry"
	"berth/scan"
	"berth/scan/remote"
)

// start runs a worker until the test ends, and returns its folder and what ends it sooner.
func start(t *testing.T, r *fakeRegistry, change func(*Options)) (data string, stop func()) {
	data = t.TempDir()
	client, err := remote.NewClient(r.url, remote.ClientOptions{Patience: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	command, env := engineCommand(data)
	opts := Options{
		Registry: r.url, Client: client, Engine: command, Env: env, Data: data,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&opts)
	}
	w, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if left := leftIn(t, opts.Data); len(left) > 0 {
			t.Errorf("there are temporary files after the end: %q", left)
		}
		if pids := enginesOf(t, opts.Data); len(pids) > 0 {
			t.Errorf("engines run after the end: %d", pids)
		}
	})
	t.Cleanup(stop)
	return opts.Data, stop
}

// leftIn are the names below the folder for temporary files.
func leftIn(t *testing.T, data string) (names []string) {
	entries, err := os.ReadDir(filepath.Join(data, tempFolder))
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// enginesOf are the processes that have the folder of a worker for their argument.
func enginesOf(t *testing.T, data string) (pids []int) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		args := strings.Split(string(b), "\x00")
		var pid int
		if _, scanErr := fmt.Sscanf(f, "/proc/%d/", &pid); err == nil && scanErr == nil && len(args) == 3 && args[1] == data {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestScan(t *testing.T) {
	r := newRegistry(t)
	d := r.setDatabase(database("2024-1"), time.Unix(1000, 0), time.Unix(2000, 0))
	start(t, r, nil)

	first := r.push("team/app", "base layer", "a layer on it")
	got := r.result(first)
	if want := `{"bomFormat":"CycloneDX","packages":["base layer","a layer on it"]}`; string(got.Inventory) != want {
		t.Errorf("the inventory is %s, not %s", got.Inventory, want)
	}
	if got.OS != "debian 12" || got.Packages != 2 || got.Scanner != "fake 1.0" || got.Database != d.Digest {
		t.Errorf("the result says %+v", got)
	}
	if len(got.Findings) != 1 || got.Findings[0].ID != "CVE-2024-1" || got.Findings[0].Package.Name != "<b>openssl</b>" {
		t.Errorf("findings are %+v", got.Findings)
	}

	second := r.push("team/app", "base layer", "another layer on it")
	r.result(second)
	third := r.add(scan.Job{Repository: "team/app", Digest: first.Digest, HasInventory: true})
	third.inventory = got.Inventory
	rematched := r.result(third)
	if rematched.Inventory != nil || len(rematched.Findings) != 1 {
		t.Errorf("a job with an inventory ends with %+v", rematched)
	}
	for layer, want := range map[string]int{"base layer": 1, "a layer on it": 1, "another layer on it": 1} {
		if got := r.reads[r.addBlob([]byte(layer))]; got != want {
			t.Errorf("%q was read %d times, not %d", layer, got, want)
		}
	}
	if len(r.requests) == 0 || r.requests[len(r.requests)-1].Databases[scan.Vulnerabilities] != d.Digest {
		t.Errorf("the worker does not say that it has the database")
	}
}

// TestLimits has images take more than they may, each of which another one follows.
func TestLimits(t *testing.T) {
	r := newRegistry(t)
	data, _ := start(t, r, func(o *Options) { o.Limits = Limits{Memory: 150 << 20, Disk: 8 << 20} })
	for what, reason := range map[string]string{
		"memory": "it needed more than 150 MiB of memory",
		"burst":  "it needed more than 150 MiB of memory",
		"disk":   "it needed more than 8 MiB of temporary files",
		"files":  "it needed more than 8 MiB of temporary files",
		"file":   "more", // the kernel may be faster than the worker
	} {
		t.Run(what, func(t *testing.T) {
			if testing.Short() && (what == "memory" || what == "burst") {
				t.Skip("the race detector takes more memory than such an engine gets")
			}
			f := r.failure(r.push(registry.Name("team/"+what), "layer"))
			if !strings.Contains(f.Reason, reason) || !f.Permanent || f.Unsupported {
				t.Errorf("the failure is %+v", f)
			}
			r.result(r.push("team/app", "layer of "+what))
			r.until("there is one folder of an engine", func() bool { return len(leftIn(t, data)) == 1 })
			if files, _ := filepath.Glob(filepath.Join(data, tempFolder, "*", "*")); len(files) > 0 {
				t.Errorf("files are left: %q", files)
			}
		})
	}
}

// TestTimeLimit has an image take longer than it may.
func TestTimeLimit(t *testing.T) {
	r := newRegistry(t)
	start(t, r, func(o *Options) { o.Limits.Time = 2 * time.Second })
	if f := r.failure(r.push("team/sleep", "layer")); f.Reason != "it took more than 2s" || !f.Permanent {
		t.Errorf("the failure is %+v", f)
	}
	r.result(r.push("team/app", "another layer"))
}

// TestDeaths has images be the death of an engine, or make it useless.
func TestDeaths(t *testing.T) {
	r := newRegistry(t)
	data, _ := start(t, r, func(o *Options) { o.Limits.Time = 5 * time.Second })
	for what, reason := range map[string]string{
		"panic":     "panic: index out of range in a parser",
		"goroutine": "panic: somewhere else",
		"exit":      "a library gives up",
		"clean":     "the engine ended in the midst of it",
		"killed":    "killed",
		"babble":    "does not say what it should",
		"lies":      "does not answer what it was asked",
		"child":     "died",
	} {
		t.Run(what, func(t *testing.T) {
			j := r.push(registry.Name("team/"+what), "layer")
			f := r.failure(j)
			if !strings.Contains(f.Reason, reason) || f.Permanent || f.Unsupported {
				t.Errorf("the failure is %+v", f)
			}
			r.has(j, "a second lease", func(j *fakeJob) bool { return j.leases > 1 })
			r.mu.Lock()
			j.failures = append(j.failures, scan.Failure{Permanent: true}) // enough of it
			r.mu.Unlock()
			r.result(r.push("team/app", "layer of "+what))
		})
	}
	r.until("there is one engine", func() bool { return len(enginesOf(t, data)) == 1 })
}

// TestScannerErrors has images be what a scanner can say something about.
func TestScannerErrors(t *testing.T) {
	r := newRegistry(t)
	data, _ := start(t, r, nil)
	var engines []int
	r.until("there is an engine", func() bool { engines = enginesOf(t, data); return len(engines) == 1 })
	broken := r.failure(r.push("team/broken", "layer"))
	if broken.Reason != "gzip: invalid header" || !broken.Permanent {
		t.Errorf("a broken image fails with %+v", broken)
	}
	nothing := r.failure(r.push("team/nothing", "layer"))
	if nothing.Reason != scan.ErrNothingFound.Error() || !nothing.Unsupported {
		t.Errorf("an empty image fails with %+v", nothing)
	}
	r.result(r.push("team/prints", "layer of prints"))

	// What is not the fault of the image may be tried again.
	image := r.image("team/app", "one layer", "a layer that is gone")
	lost := r.addBlob([]byte("a layer that is gone"))
	r.mu.Lock()
	delete(r.blobs, lost)
	r.mu.Unlock()
	gone := r.add(scan.Job{Repository: "team/app", Digest: image})
	if f := r.failure(gone); f.Permanent || !strings.Contains(f.Reason, "is not in the repository team/app any more") {
		t.Errorf("an image of which a layer is gone fails with %+v", f)
	}
	r.mu.Lock()
	r.blobs[lost] = []byte("other bytes of a layer")
	gone.failures = nil
	r.mu.Unlock()
	r.has(gone, "a failure for the layer's other bytes", func(j *fakeJob) bool { // after those of attempts that had begun before
		return slices.ContainsFunc(j.failures, func(f scan.Failure) bool {
			return !f.Permanent && strings.Contains(f.Reason, "are not those of the blob")
		})
	})
	r.mu.Lock()
	r.blobs[lost] = []byte("a layer that is gone")
	r.mu.Unlock()
	r.result(gone)
	if !slices.Equal(engines, enginesOf(t, data)) {
		t.Error("the engine was replaced, though it did not die")
	}
}

// TestLeavings has engines replaced that leave something behind.
func TestLeavings(t *testing.T) {
	for _, what := range []string{"leaves", "locks"} {
		t.Run(what, func(t *testing.T) {
			r := newRegistry(t)
			data, _ := start(t, r, nil)
			r.result(r.push(registry.Name("team/"+what), "layer"))
			r.until("nothing is left", func() bool {
				files, _ := filepath.Glob(filepath.Join(data, tempFolder, "*", "*"))
				return len(files) == 0 && len(leftIn(t, data)) == 1
			})
			r.result(r.push("team/app", "another layer"))
		})
	}
}

// TestTwoWorkers has two workers, one of which does two jobs at once, share jobs.
func TestTwoWorkers(t *testing.T) {
	r := newRegistry(t)
	r.setDatabase(database("2024-1"), time.Unix(1000, 0), time.Unix(2000, 0))
	start(t, r, func(o *Options) { o.Name = "first"; o.Workers = 2 })
	start(t, r, func(o *Options) { o.Name = "second" })
	r.until("all have asked", func() bool {
		names := map[string]bool{}
		for _, q := range r.requests {
			names[q.Worker] = true
		}
		return names["first/1"] && names["first/2"] && names["second"]
	})
	var jobs []*fakeJob
	for i := range 30 {
		jobs = append(jobs, r.push("team/app", "base", fmt.Sprint("layer ", i)))
	}
	for _, j := range jobs {
		r.result(j)
		if j.leases != 1 || len(j.results) != 1 || len(j.failures) != 0 {
			t.Errorf("a job had %d leases, %d results and %d failures", j.leases, len(j.results), len(j.failures))
		}
	}
}

// TestLongJob has a job take longer than its lease, with a token for each.
func TestLongJob(t *testing.T) {
	r := newRegistry(t)
	r.lease = 600 * time.Millisecond
	start(t, r, nil)
	j := r.push("team/slow", "layer")
	r.result(j)
	if j.leases != 1 {
		t.Errorf("the job was leased %d times", j.leases)
	}
}

// TestLostLease has a worker drop a job that is somebody else's.
func TestLostLease(t *testing.T) {
	r := newRegistry(t)
	r.lease = time.Second
	start(t, r, nil)
	j := r.push("team/sleep", "layer")
	r.has(j, "a lease", func(j *fakeJob) bool { return j.leases == 1 })
	r.mu.Lock()
	j.Lease, j.until = "of another worker", time.Now().Add(time.Hour)
	r.mu.Unlock()
	r.result(r.push("team/app", "layer"))
	if len(j.results)+len(j.failures) > 0 {
		t.Errorf("something was said of the job: %+v %+v", j.results, j.failures)
	}
}

// TestAway has the registry be away at every moment, and come back.
func TestAway(t *testing.T) {
	r := newRegistry(t)
	r.setDatabase(database("2024-1"), time.Unix(1000, 0), time.Unix(2000, 0))
	r.setAway(true)
	start(t, r, nil)
	time.Sleep(time.Second)
	r.setAway(false)
	r.result(r.push("team/app", "layer 1"))

	r.setAway(true) // longer than the client is patient
	time.Sleep(3 * time.Second)
	r.setAway(false)
	r.result(r.push("team/app", "layer 2"))

	j := r.push("team/slow", "layer 3")
	r.has(j, "a lease", func(j *fakeJob) bool { return j.leases == 1 })
	r.setAway(true) // until after the engine has asked what is in the cache
	time.Sleep(2 * time.Second)
	r.setAway(false)
	r.result(j)
	if j.leases != 1 {
		t.Errorf("the job was leased %d times", j.leases)
	}

	r.mu.Lock()
	r.cut = 2 // layers that break off are read on
	r.mu.Unlock()
	r.result(r.push("team/app", strings.Repeat("a long layer", 1000)))
}

// TestStop has a worker stop while it is at something.
func TestStop(t *testing.T) {
	t.Run("the job comes to its end", func(t *testing.T) {
		r := newRegistry(t)
		_, stop := start(t, r, nil)
		j := r.push("team/slow", "layer")
		r.has(j, "a lease", func(j *fakeJob) bool { return j.leases == 1 })
		stop()
		if len(j.results) != 1 {
			t.Errorf("there are %d results", len(j.results))
		}
	})
	t.Run("the job is left to others", func(t *testing.T) {
		r := newRegistry(t)
		_, stop := start(t, r, func(o *Options) { o.Grace = 200 * time.Millisecond })
		j := r.push("team/sleep", "layer")
		r.has(j, "a lease", func(j *fakeJob) bool { return j.leases == 1 })
		began := time.Now()
		stop()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
		if len(j.results)+len(j.failures) > 0 {
			t.Errorf("something was said of the job: %+v %+v", j.results, j.failures)
		}
	})
	t.Run("there is no job", func(t *testing.T) {
		r := newRegistry(t)
		_, stop := start(t, r, nil)
		r.until("a worker asks", func() bool { return len(r.requests) > 0 })
		began := time.Now()
		stop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestFolder has a folder be used by one worker at a time, and cleared of what is left.
func TestFolder(t *testing.T) {
	r := newRegistry(t)
	data := t.TempDir()
	left := filepath.Join(data, tempFolder, "engine-1", "locked")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "file"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(left, 0o500); err != nil {
		t.Fatal(err)
	}
	start(t, r, func(o *Options) { o.Data = data })
	r.until("a worker asks", func() bool { return len(r.requests) > 0 })
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what an earlier life has left is there: %v", err)
	}
	w, err := New(Options{Registry: r.url, Engine: []string{"true"}, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another worker uses the folder") {
		t.Errorf("a second worker in the same folder: %v", err)
	}
}
