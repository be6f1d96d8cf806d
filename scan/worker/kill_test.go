package worker

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/scan/worker/process"
)

// TestKillEngine kills an engine in the midst of a job.
func TestKillEngine(t *testing.T) {
	r := newRegistry(t)
	data, _ := start(t, r, nil)
	j := r.push("team/slow", "layer")
	r.has(j, "a lease", func(j *fakeJob) bool { return j.leases == 1 })
	time.Sleep(200 * time.Millisecond)
	pids := enginesOf(t, data)
	if len(pids) != 1 {
		t.Fatalf("engines are %d", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if f := r.failure(j); f.Permanent || !strings.Contains(f.Reason, "killed") {
		t.Errorf("the failure is %+v", f)
	}
	r.result(j)
	if j.leases != 2 || len(j.results) != 1 {
		t.Errorf("there were %d leases and %d results", j.leases, len(j.results))
	}
	// One that has nothing to do is replaced too.
	pids = enginesOf(t, data)
	if len(pids) != 1 {
		t.Fatalf("engines are %d", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("there is another engine", func() bool {
		again := enginesOf(t, data)
		return len(again) == 1 && again[0] != pids[0]
	})
	r.result(r.push("team/app", "another layer"))
}

// TestKillWorker kills a worker in the midst of a job, and starts another one in its folder.
func TestKillWorker(t *testing.T) {
	r := newRegistry(t)
	r.lease = 2 * time.Second
	r.setDatabase(database("1"), at(1), at(2))
	data := t.TempDir()
	launch := func() *exec.Cmd {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, r.url, data)
		cmd.Env = append(os.Environ(), roleVariable+"=worker")
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		return cmd
	}
	kill := func(cmd *exec.Cmd) {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		r.until("the engines are dead too", func() bool { return len(enginesOf(t, data)) == 0 })
	}

	first := launch()
	j := r.push("team/slow", "layer")
	r.has(j, "a lease", func(j *fakeJob) bool { return j.leases == 1 })
	time.Sleep(200 * time.Millisecond)
	kill(first)
	if len(leftIn(t, data)) == 0 {
		t.Error("the engine of the worker that was killed had no folder")
	}
	second := launch()
	if got := r.result(j); j.leases != 2 || len(j.results) != 1 || len(j.failures) > 0 || got.Findings[0].ID != "CVE-1" {
		t.Errorf("there were %d leases, results %+v, failures %+v", j.leases, j.results, j.failures)
	}
	if left := leftIn(t, data); len(left) != 1 {
		t.Errorf("folders of engines are %q", left)
	}

	// In the midst of fetching a database.
	slow := make(chan struct{})
	r.mu.Lock()
	r.slow = slow
	r.mu.Unlock()
	d := r.setDatabase(database(strings.Repeat("2", 1000)), at(3), at(4))
	j = r.push("team/app", "another layer")
	r.until("the database is being read", func() bool { return r.reads[d.Layer] > 0 })
	kill(second)
	close(slow)
	r.mu.Lock()
	r.slow = nil
	r.mu.Unlock()
	third := launch()
	if got := r.result(j); !strings.HasPrefix(got.Findings[0].ID, "CVE-222") {
		t.Errorf("findings are %v", ids(got))
	}
	r.until("one database is kept", func() bool { return len(keptIn(t, data)) == 1 })
	kill(third)
}

// TestPriority has engines give way to others.
func TestPriority(t *testing.T) {
	r := newRegistry(t)
	data, _ := start(t, r, nil)
	r.result(r.push("team/app", "layer"))
	for _, pid := range enginesOf(t, data) {
		threads, err := os.ReadDir(procPath(pid, "task"))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			b, err := os.ReadFile(procPath(pid, "task", thread.Name(), "stat"))
			if err != nil {
				continue // it has ended
			}
			_, fields, _ := strings.Cut(string(b), ") ")
			if nice := strings.Fields(fields)[16]; nice != strconv.Itoa(process.Nice) {
				t.Errorf("a thread of the engine has the priority %s", nice)
			}
		}
	}
}

// TestNoSecrets has engines know nothing that their images could tell others.
func TestNoSecrets(t *testing.T) {
	t.Setenv("BERTH_SCANNER_TOKEN", "very-secret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	r := newRegistry(t)
	data, _ := start(t, r, nil)
	r.result(r.push("team/app", "layer"))
	pids := enginesOf(t, data)
	if len(pids) != 1 {
		t.Fatalf("engines are %d", pids)
	}
	for _, file := range []string{"environ", "cmdline"} {
		b, err := os.ReadFile(procPath(pids[0], file))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("very-secret")) {
			t.Errorf("%s of the engine has a secret: %q", file, b)
		}
	}
}

func procPath(pid int, names ...string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), filepath.Join(names...))
}
