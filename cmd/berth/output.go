package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"berth/registry"
)

// outputFlag chooses between a table for people and JSON for programs.
type outputFlag struct {
	Output string `short:"o" default:"table" enum:"table,json" help:"Form of the answer: ${enum}."`
}

// print writes rows as a table under the headings, or v as JSON.
func (f outputFlag) print(c console, v any, headings []string, rows [][]string) error {
	if f.Output == "json" {
		return printJSON(c, v)
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(headings, "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func printJSON(c console, v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// formatBytes is for people; JSON has the number.
func formatBytes(n int64) string { return registry.FormatSize(n) }
