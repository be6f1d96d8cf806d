package main

import (
	"fmt"
	"strings"
	"time"
)

// table prints a line for each scenario.
type table struct {
	begun                bool
	requests, violations int
}

// columns of statuses; whatever else comes is a violation.
var columns = []int{503, 416, 404, 0}

func (tb *table) add(t *trial) {
	if !tb.begun {
		fmt.Printf("%-38s %6s %8s %6s %6s %5s %5s %5s %8s %8s %6s %6s %7s %7s\n", "scenario", "harm", "requests", "2xx",
			"503", "416", "404", "cut", "p99", "longest", "blobs", "losses", "expired", "orphans")
		tb.begun = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ok, other := 0, 0
	for status, n := range t.statuses {
		tb.requests += n
		if 200 <= status && status < 300 {
			ok += n
		} else if status != 503 && status != 416 && status != 404 && status != 0 {
			other += n
		}
	}
	counts := make([]string, len(columns))
	for i, status := range columns {
		counts[i] = fmt.Sprintf("%*d", []int{6, 5, 5, 5}[i], t.statuses[status])
	}
	var harm int64
	if t.world != nil && t.world.bucket != nil && t.world.wire != nil {
		harm = t.world.bucket.met.Load() + t.world.wire.met.Load()
	}
	fmt.Printf("%-38s %6d %8d %6d %s %8s %8s %6d %6d %7d %7d", t.name, harm, len(t.times), ok, strings.Join(counts, " "),
		short(t.quantile(0.99)), short(t.quantile(1)), len(t.blobs), t.fsck.Losses, t.expired, t.fsck.Orphans)
	if other > 0 {
		fmt.Printf("  %d with other statuses", other)
	}
	if n := len(t.violations); n > 0 {
		tb.violations += n
		fmt.Printf("  %d VIOLATIONS", n)
	}
	fmt.Println()
}

func (tb *table) end(took time.Duration) {
	fmt.Printf("%d requests in %v, %d violations\n", tb.requests, took.Round(time.Second), tb.violations)
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
