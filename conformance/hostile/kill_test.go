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

	for n := range killImages {
		w.push(fmt.Sprintf("v%d", n), base, zipped(t, piece{files(t, "etc/serial", fmt.Sprint(n)), 1}))
		if n%3 != 2 {
			continue
		}
		time.Sleep(rand.N(1500 * time.Millisecond))
		switch n / 3 % 3 {
		case 0, 1:
			w.kill(w.children(w.PID()))
		case 2:
			for _, scanner := range w.children(w.PID()) {
				w.kill(w.children(scanner))
			}
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

// kill kills processes with SIGKILL.
func (w *world) kill(pids []int) {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
			w.Logf("killed %d", pid)
		}
	}
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
