package hostile

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killImages are enough for some kills of each kind, and few enough that no image meets three.
const killImages = 20

// TestKill kills the scanner and its engines at random moments while images are scanned: each
// of them has each of its findings once in the end.
func TestKill(t *testing.T) {
	w := start(t)
	base := system(t)
	w.push("reference", base)
	w.wantGood("reference")
	want := w.findings("reference")

	killed := map[int]bool{}
	for n := range killImages {
		kill := n%3 == 0 && n > 0
		var pid int
		if kill { // some of those pushed before are waiting, or being looked at
			pid = w.target(n%2 == 0, killed)
		}
		w.push(fmt.Sprintf("v%d", n), base, zipped(t, piece{files(t, "etc/serial", fmt.Sprint(n)), 1}))
		if kill {
			time.Sleep(rand.N(500 * time.Millisecond))
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Errorf("process %d had ended before it was killed: %v", pid, err)
			}
			killed[pid] = true
		}
	}
	for n := range killImages {
		tag := fmt.Sprintf("v%d", n)
		w.wantGood(tag)
		if got := w.findings(tag); !maps.Equal(got, want) {
			t.Errorf("%s has the findings %v, not %v", tag, got, want)
		}
	}
	w.wantNothingLeft()
}

// target waits for a scanner, or an engine, that was not killed yet.
func (w *world) target(engine bool, killed map[int]bool) int {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, scanner := range w.children(w.PID()) {
			all := []int{scanner}
			if engine {
				all = w.children(scanner)
			}
			for _, pid := range all {
				if !killed[pid] && !killed[scanner] {
					return pid
				}
			}
		}
	}
	w.Fatal("there is no scanner to kill")
	return 0
}

// children are the processes that one has started.
func (w *world) children(parent int) (all []int) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	w.must(err)
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			all = append(all, pid)
		}
	}
	return all
}
