package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestRuns is a short `make kill` and a short run without kills, in which every answer has to be exactly right.
func TestRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	binary := filepath.Join(t.TempDir(), "berth")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, "berth/cmd/berth")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("berth cannot be built: %v\n%s", err, out)
	}
	for name, o := range map[string]options{
		"kills": {kills: 3, clients: 4, grace: time.Second},
		"model": {model: true, steps: 60, clients: 1},
	} {
		t.Run(name, func(t *testing.T) {
			o.berth, o.seed = binary, 1
			r := newRun(o, t.TempDir())
			if err := r.do(t.Context()); err != nil {
				t.Error(err)
			}
			if r.stats.kills != o.kills || r.stats.complete == 0 {
				t.Error("the run ended early")
			}
		})
	}
}
