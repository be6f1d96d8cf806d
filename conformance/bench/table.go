package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"
)

// printTable writes the budget table in Markdown.
func printTable(w io.Writer, budgets []budget, names []string, all map[string]figures) {
	header := append([]string{"work", "budget"}, names...)
	header = append(header, "berth : bare", "verdict")
	rows := [][]string{header}
	for _, b := range budgets {
		limit := ""
		if b.rule != nil {
			limit = b.rule.text
		}
		row := []string{string(b.metric), limit}
		for _, n := range names {
			row = append(row, number(all[n].median(b.metric), b.digits))
		}
		verdict, _ := b.verdict(all)
		row = append(row, number(all[berth].median(b.metric)/all[bareLoop].median(b.metric), 2), verdict)
		rows = append(rows, row)
	}
	printRows(w, rows)
}

// printRows writes a table in Markdown, whose first row is its header.
func printRows(w io.Writer, rows [][]string) {
	for n, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
		if n == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat(" --- |", len(r)))
		}
	}
}

// printRounds writes every sample, so that one sees how much the machine wavered.
func printRounds(w io.Writer, budgets []budget, names []string, all map[string]figures) {
	for _, b := range budgets {
		fmt.Fprintf(w, "%s\n", b.metric)
		for _, n := range names {
			var samples []string
			for _, v := range all[n][b.metric] {
				samples = append(samples, number(v, b.digits))
			}
			if len(samples) > 0 {
				fmt.Fprintf(w, "    %-14s %s\n", n, strings.Join(samples, "  "))
			}
		}
	}
}

// number leaves out what was not measured.
func number(v float64, digits int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// machine describes where the figures come from.
func machine() string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, l := range strings.Split(string(b), "\n") {
			if name, ok := strings.CutPrefix(l, "model name"); ok {
				model = strings.TrimLeft(name, "\t: ")
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d CPUs (%s), Linux %s, %s, %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)),
		runtime.Version(), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

// progress tells the waiting user what is going on.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
