package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// trend is a line of the growth table.
type trend struct {
	metric metric
	digits int
	rate   bool    // more is better
	most   float64 // how many times worse the largest registry may be than the smallest; zero for a line that only informs
}

var trends = []trend{
	{metric: smallRate, rate: true, most: 2},
	{metric: smallCPU, digits: 2},
	{metric: headP50, digits: 2, most: 2},
	{metric: headP99, digits: 2},
	{metric: headCPU, digits: 3},
	{metric: tagsP50, digits: 2, most: 2},
	{metric: catalogP50, digits: 2},
	{metric: referrersP50, digits: 2},
	{metric: describeP50, digits: 2},
	{metric: listImagesP50, digits: 2},
	{metric: deleteP50, digits: 2},
	{metric: startTime, digits: 3},
	{metric: idleMemory},
	{metric: bytesPerImage},
}

// grown is how much more something takes before the table says that it grows: less is noise.
const grown = 1.5

// rule is what is asked of the line.
func (t trend) rule() string {
	switch {
	case t.most == 0:
		return ""
	case t.rate:
		return fmt.Sprintf("≥ 1/%g", t.most)
	}
	return fmt.Sprintf("≤ %g ×", t.most)
}

// ratio is the largest registry's figure to the smallest one's.
func (t trend) ratio(stages []*stage) float64 {
	return stages[len(stages)-1].figures.median(t.metric) / stages[0].figures.median(t.metric)
}

// worse is how many times worse the largest registry is. What was not measured is no number.
func (t trend) worse(stages []*stage) float64 {
	if t.rate {
		return 1 / t.ratio(stages)
	}
	return t.ratio(stages)
}

// kept says whether the line keeps its rule.
func (t trend) kept(stages []*stage) bool {
	return t.most == 0 || t.worse(stages) <= t.most // which no comparison with NaN is
}

// printGrowth writes the growth table in Markdown, with a line below it that says what grows.
func printGrowth(w io.Writer, stages []*stage) {
	header := []string{"work", "rule"}
	for _, s := range stages {
		header = append(header, thousands(s.images)+" images")
	}
	rows := [][]string{append(header, "largest : smallest", "verdict")}
	var growing []string
	for _, t := range trends {
		row := []string{string(t.metric), t.rule()}
		for _, s := range stages {
			row = append(row, number(s.figures.median(t.metric), t.digits))
		}
		if t.worse(stages) > grown {
			growing = append(growing, string(t.metric))
		}
		rows = append(rows, append(row, number(t.ratio(stages), 2), verdict(t.most != 0, t.kept(stages))))
	}
	printRows(w, rows)
	if len(growing) == 0 {
		growing = []string{"nothing"}
	}
	fmt.Fprintf(w, "\nMore than %g times worse in the largest: %s.\n", grown, strings.Join(growing, "; "))
}

// verdict is the word for a rule that is kept or not.
func verdict(rule, kept bool) string {
	switch {
	case !rule:
		return ""
	case kept:
		return "kept"
	}
	return "**missed**"
}

// thousands writes n with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// missedTrends are the lines that do not keep their rules.
func missedTrends(stages []*stage) (missed []string) {
	for _, t := range trends {
		if !t.kept(stages) {
			what := string(t.metric)
			if math.IsNaN(t.ratio(stages)) {
				what += " (not measured)"
			}
			missed = append(missed, what)
		}
	}
	return missed
}
