package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

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

// printJSON writes v for programs. It may be read by people all the same, so that it has no
// character that a terminal acts on: what JSON leaves as it is, is escaped.
func printJSON(c console, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	var escaped []byte
	for _, r := range string(b) {
		if r < 0x7f || unicode.IsPrint(r) {
			escaped = utf8.AppendRune(escaped, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			escaped = fmt.Appendf(escaped, `\u%04x`, unit)
		}
	}
	_, err = c.out.Write(append(escaped, '\n'))
	return err
}

// printable is a text from a stranger for people to read: what a terminal would act on, or not
// show, is escaped.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
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
