package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"berth/conformance/internal/audit"
)

// stats is what a run counts besides what the model counts.
type stats struct {
	began      time.Time
	mu         sync.Mutex // of starts
	kills      int
	earlyKills int // of processes that were still starting
	storms     int // kills out of a storm
	pauses     int // of replicas
	rounds     int // of kills and pauses
	hungUp     int // replicas that were killed because nobody knew what they were still at
	starts     []time.Duration
	verified   int   // verifications
	complete   int   // of everything
	looked     int   // facts that were looked at, in all of them
	final      tally // the last complete one
	fsck       audit.Report
	expired    int // uploads given up at the end
	collected  audit.Collected
	swept      audit.Bucket
}

// add counts a verification.
func (s *stats) add(t tally, everything bool) {
	s.verified++
	if everything {
		s.complete++
		s.final = t
	}
	for _, m := range []map[cellKind]int{t.there, t.gone} {
		for _, n := range m {
			s.looked += n
		}
	}
}

// print writes the summary.
func (r *run) print(w io.Writer) {
	s := &r.stats
	fmt.Fprintf(w, "seed %d, %d clients, %v\n", r.options.seed, r.options.clients, time.Since(s.began).Round(time.Second))
	switch {
	case r.options.model:
	case r.registry.replicated():
		fmt.Fprintf(w, "%d replicas; kills: %d; pauses: %d; both out of %d storms; %d more kills after clients had hung up, %d while berth was starting; %d starts\n",
			r.options.replicas, s.kills, s.pauses, s.storms, s.hungUp, s.earlyKills, len(s.starts))
	default:
		fmt.Fprintf(w, "kills: %d, of them %d out of a storm; %d more while berth was starting; %d starts\n",
			s.kills, s.storms, s.earlyKills, len(s.starts))
	}
	fmt.Fprintf(w, "time from start to ready: %s\n", distribution(s.starts))
	r.model.printOperations(w)
	r.model.printSettled(w)
	if n := r.restarts.Load(); n > 0 {
		fmt.Fprintf(w, "uploads that a kill came upon while they ended and that had to begin again: %d\n", n)
	}
	fmt.Fprintf(w, "verifications: %d, of them %d complete; %d facts looked at\n", s.verified, s.complete, s.looked)
	if s.complete > 0 {
		for kind, name := range []string{blobCell: "blobs", manifestCell: "manifests", tagCell: "tags"} {
			fmt.Fprintf(w, "  last complete one: %6d %-9s there, %6d gone\n",
				s.final.there[cellKind(kind)], name, s.final.gone[cellKind(kind)])
		}
	}
	fmt.Fprintf(w, "fsck --deep: %d losses, %d orphans; %d blobs (%d MiB) and %d manifests in %d objects; %d uploads given up\n",
		s.fsck.Losses, s.fsck.Orphans, s.fsck.Blobs, s.fsck.Bytes>>20, s.fsck.Manifests, s.fsck.Objects, s.expired)
	fmt.Fprintf(w, "garbage collection: %d blobs meanwhile, %d in the end\n", s.collected.During, s.collected.After)
	if r.registry.cluster != nil {
		fmt.Fprintf(w, "after that: %s\n", s.swept)
	}
}

// printOperations writes how often each kind of operation had each outcome.
func (m *model) printOperations(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintf(w, "operations: %d\n", m.last)
	for _, kind := range slices.Sorted(maps.Keys(m.counts)) {
		var parts []string
		for _, status := range slices.Sorted(maps.Keys(m.counts[kind])) {
			name := fmt.Sprint(status)
			if status == 0 {
				name = "cut off"
			}
			parts = append(parts, fmt.Sprintf("%s: %d", name, m.counts[kind][status]))
		}
		fmt.Fprintf(w, "  %-15s %s\n", kind, strings.Join(parts, ", "))
	}
}

// printSettled writes what became of the operations that kills cut off.
func (m *model) printSettled(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.settled) == 0 {
		return
	}
	fmt.Fprintln(w, "changes that got no answer:")
	for _, kind := range slices.Sorted(maps.Keys(m.settled)) {
		n := m.settled[kind]
		fmt.Fprintf(w, "  %-15s %d took effect, %d did not, %d cannot be told\n", kind, n["took effect"], n["did not"], n["either"])
	}
}

func distribution(all []time.Duration) string {
	if len(all) == 0 {
		return "never"
	}
	sorted := slices.Sorted(slices.Values(all))
	ms := func(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
	return fmt.Sprintf("p50 %s, max %s", ms(sorted[len(sorted)/2]), ms(sorted[len(sorted)-1]))
}
