package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/scan/worker/process"
)

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// supervised runs a shell script as the scanner until stop is called. In the script $OUT is
// a file to write to.
func supervised(t *testing.T, script string, change func(*supervisor)) (log *lockedBuffer, out string, stop func()) {
	dir := t.TempDir()
	path := filepath.Join(dir, "berth-scanner")
	out = filepath.Join(dir, "out")
	script = "#!/bin/sh\nOUT=" + out + "\n" + script + "\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	log = new(lockedBuffer)
	v := supervisor{
		path: path, url: "http://127.0.0.1:1", secret: "the-secret", data: filepath.Join(dir, "data"),
		flags: scannerFlags{ScannerWorkers: 2, ScannerMemory: "700MiB", ScannerDisk: "10GiB", ScannerTime: time.Minute},
		log:   slog.New(slog.NewTextHandler(log, nil)),
		first: 10 * time.Millisecond, most: 80 * time.Millisecond, patience: 300 * time.Millisecond,
	}
	if change != nil {
		change(&v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { v.run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return log, out, stop
}

// waitFor waits until ok.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

func content(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// gone reports whether a process has ended. A dead one that nobody has waited for has no
// command line.
func gone(pid string) bool {
	return content(filepath.Join("/proc", pid, "cmdline")) == ""
}

func TestSupervisorRestarts(t *testing.T) {
	log, out, stop := supervised(t, `echo started >> $OUT; echo "no good" >&2; exit 7`, nil)
	waitFor(t, "it was started six times", func() bool { return strings.Count(content(out), "started") >= 6 })
	stop()
	n := strings.Count(content(out), "started")
	time.Sleep(200 * time.Millisecond)
	if again := strings.Count(content(out), "started"); again != n {
		t.Errorf("it was started %d times, and %d times after the end", n, again-n)
	}
	for _, want := range []string{"exit status 7", "pause=10ms", "pause=20ms", "pause=40ms", "pause=80ms", `line="no good"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s: %s", want, log)
		}
	}
	if strings.Contains(log.String(), "pause=160ms") {
		t.Errorf("pauses grow beyond the longest: %s", log)
	}
}

// TestSupervisorForgives has a scanner that lived long enough be started again at once.
func TestSupervisorForgives(t *testing.T) {
	log, out, stop := supervised(t, `echo started >> $OUT; sleep 0.15`, func(v *supervisor) { v.healthy = 100 * time.Millisecond })
	waitFor(t, "it was started four times", func() bool { return strings.Count(content(out), "started") >= 4 })
	stop()
	if strings.Contains(log.String(), "pause=40ms") {
		t.Errorf("pauses grow though it lived: %s", log)
	}
}

func TestSupervisorStops(t *testing.T) {
	for name, script := range map[string]string{
		"that ends when it is asked": `trap 'echo asked >> $OUT; kill $!; exit 0' TERM; sleep 3600 & echo $$ $! >> $OUT; wait`,
		"that does not":              `trap 'echo asked >> $OUT' TERM; sleep 3600 & echo $$ $! >> $OUT; while :; do wait; done`,
	} {
		t.Run(name, func(t *testing.T) {
			_, out, stop := supervised(t, script, nil)
			waitFor(t, "it runs", func() bool { return strings.Contains(content(out), "\n") })
			pids := strings.Fields(content(out))
			began := time.Now()
			stop()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if !strings.Contains(content(out), "asked") {
				t.Error("it was not asked to end")
			}
			for _, pid := range pids {
				waitFor(t, fmt.Sprintf("process %s has ended", pid), func() bool { return gone(pid) })
			}
		})
	}
}

// TestSupervisorLeftBehind has what a scanner has started end with it.
func TestSupervisorLeftBehind(t *testing.T) {
	_, out, _ := supervised(t, `sleep 3600 & echo $! >> $OUT; exit 1`, nil)
	waitFor(t, "it was started twice", func() bool { return strings.Count(content(out), "\n") >= 2 })
	pid := strings.Fields(content(out))[0]
	waitFor(t, "what the first has started has ended", func() bool { return gone(pid) })
}

// TestSupervisorEnvironment has the scanner know its settings, and none of our secrets.
func TestSupervisorEnvironment(t *testing.T) {
	t.Setenv("BERTH_DATABASE", "postgres://very-secret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	_, out, _ := supervised(t, `env > $OUT.new; cat /proc/$$/stat >> $OUT.new; mv $OUT.new $OUT; sleep 3600`, nil)
	waitFor(t, "it runs", func() bool { return content(out) != "" })
	got := content(out)
	for _, want := range []string{
		"BERTH_SCANNER_REGISTRY=http://127.0.0.1:1\n", "BERTH_SCANNER_TOKEN=the-secret\n", "BERTH_SCANNER_WORKERS=2\n",
		"BERTH_SCANNER_MEMORY=700MiB\n", "BERTH_SCANNER_TIME=1m0s\n", "BERTH_SCANNER_LOG_LEVEL=info\n", "GOMEMLIMIT=",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "very-secret") {
		t.Errorf("it knows a secret: %s", got)
	}
	stat := strings.Fields(got[strings.LastIndex(got, ") "):])
	if len(stat) < 18 || stat[17] != strconv.Itoa(process.Nice) {
		t.Errorf("its priority is not lower: %s", stat)
	}
}

// TestSupervisorLog has lines of the scanner's log be lines of ours.
func TestSupervisorLog(t *testing.T) {
	log, _, _ := supervised(t, `
echo '{"time":"2024-05-01T00:00:00Z","level":"WARN","msg":"image not scanned","repository":"team/app","attempt":2}' >&2
echo '{"time":"2024-05-01T00:00:00Z","level":"DEBUG","msg":"not to be seen"}' >&2
head -c 200000 /dev/zero | tr '\0' x; echo
echo 'the last line'
sleep 3600`, nil)
	waitFor(t, "all was logged", func() bool { return strings.Contains(log.String(), "the last line") })
	if want := `level=WARN msg="image not scanned" from=scanner attempt=2 repository=team/app`; !strings.Contains(log.String(), want) {
		t.Errorf("there is no %s in %s", want, log)
	}
	if strings.Contains(log.String(), "not to be seen") {
		t.Errorf("what is for debugging was logged: %s", log)
	}
	if len(log.String()) > 100_000 {
		t.Errorf("a long line was logged as it is: %d bytes", len(log.String()))
	}
}

func TestScannerPath(t *testing.T) {
	if path, err := (scannerFlags{}).scannerPath(); path != "" || err != nil {
		t.Errorf("there is none beside the test, and yet %q, %v", path, err)
	}
	if _, err := (scannerFlags{Scanner: "/does/not/exist"}).scannerPath(); err == nil || !strings.Contains(err.Error(), "--scanner /does/not/exist cannot be run") {
		t.Errorf("a scanner that does not exist: %v", err)
	}
	path := filepath.Join(t.TempDir(), "scanner")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := (scannerFlags{Scanner: path}).scannerPath(); got != path || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestScannerFlags(t *testing.T) {
	fine := scannerFlags{ScannerWorkers: 1, ScannerMemory: "600MiB", ScannerDisk: "10GiB", ScannerTime: time.Minute}
	if err := fine.check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*scannerFlags){
		"exclude each other":       func(f *scannerFlags) { f.Scanner, f.NoScanner = "x", true },
		"--scanner-memory: \"much": func(f *scannerFlags) { f.ScannerMemory = "much" },
		"--scanner-disk must be":   func(f *scannerFlags) { f.ScannerDisk = "1MiB" },
		"--scanner-workers":        func(f *scannerFlags) { f.ScannerWorkers = 0 },
		"--scanner-time":           func(f *scannerFlags) { f.ScannerTime = 0 },
	} {
		bad := fine
		change(&bad)
		if err := bad.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
