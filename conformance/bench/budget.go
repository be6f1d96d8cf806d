package main

import (
	"fmt"
	"math"
)

// budget is a line of the table: what is measured and what berth shall reach.
type budget struct {
	metric metric
	digits int    // after the point
	rule   *limit // nil for a line that only informs
}

// limit is what berth's figure is held against.
type limit struct {
	text  string
	holds func(berth float64, all map[string]figures) bool
}

// atMost and atLeast are absolute.
func atMost(v float64) *limit {
	return &limit{fmt.Sprintf("≤ %g", v), func(b float64, _ map[string]figures) bool { return b <= v }}
}

func atLeast(v float64) *limit {
	return &limit{fmt.Sprintf("≥ %g", v), func(b float64, _ map[string]figures) bool { return b >= v }}
}

// atMostLike and atLeastLike are absolute on a machine like the one that they were set on, where the bare loop reached
// reference. On a slower one the same distance from the bare loop is as good.
func (b budget) atMostLike(v, reference float64) budget {
	b.rule = &limit{fmt.Sprintf("≤ %g or %.1f × bare", v, v/reference), func(got float64, all map[string]figures) bool {
		return got <= v || got <= v/reference*all[bareLoop].median(b.metric)
	}}
	return b
}

func (b budget) atLeastLike(v, reference float64) budget {
	b.rule = &limit{fmt.Sprintf("≥ %g or %.2f × bare", v, v/reference), func(got float64, all map[string]figures) bool {
		return got >= v || got >= v/reference*all[bareLoop].median(b.metric)
	}}
	return b
}

// atMostBare holds on any machine: so many times what the bare loop takes on this one.
func (b budget) atMostBare(times float64) budget {
	b.rule = &limit{fmt.Sprintf("≤ %g × bare", times), func(v float64, all map[string]figures) bool {
		return v <= times*all[bareLoop].median(b.metric)
	}}
	return b
}

// atLeastDistribution is held against CNCF Distribution.
func (b budget) atLeastDistribution(times float64) budget {
	b.rule = &limit{fmt.Sprintf("≥ %g × Distribution", times), func(v float64, all map[string]figures) bool {
		return v >= times*all[distribution].median(b.metric)
	}}
	return b
}

// onDisk is the table, in its order. The figures are the ones that are promised for a disk.
var onDisk = []budget{
	budget{metric: pushCPU, digits: 2}.atMostBare(1.15),
	budget{metric: pushRate}.atLeastDistribution(1.3),
	budget{metric: pullCPU, digits: 2}.atMostBare(1.3),
	{metric: pullRate},
	budget{metric: smallRate}.atLeastLike(600, 900),
	{metric: smallCPU, digits: 2},
	{metric: mediumRate},
	{metric: mediumCPU, digits: 2},
	budget{metric: headCPU, digits: 3}.atMostLike(0.09, 0.05),
	{metric: headP50, digits: 2},
	{metric: headP99, digits: 2, rule: atMost(10)},
	{metric: tagsP50, digits: 2, rule: atMost(1)},
	{metric: tagsP99, digits: 2},
	{metric: referrersRate, rule: atLeast(1000)},
	{metric: startTime, digits: 3, rule: atMost(0.2)},
	{metric: idleMemory, rule: atMost(50)},
	{metric: peakMemory, rule: atMost(150)},
	{metric: binarySize, digits: 1, rule: atMost(45)},
}

// onS3 is the same for a bucket and PostgreSQL.
var onS3 = []budget{
	budget{metric: pushCPU, digits: 2}.atMostBare(1.15),
	budget{metric: pushRate}.atLeastDistribution(4),
	budget{metric: pullCPU, digits: 2}.atMostBare(1.1),
	{metric: pullRate},
	budget{metric: smallRate}.atLeastLike(300, 800),
	{metric: smallCPU, digits: 2},
	{metric: mediumRate},
	{metric: mediumCPU, digits: 2},
	budget{metric: headCPU, digits: 3}.atMostLike(0.12, 0.05),
	{metric: headP50, digits: 2},
	{metric: headP99, digits: 2},
	{metric: tagsP50, digits: 2, rule: atMost(2)},
	{metric: tagsP99, digits: 2},
	{metric: referrersRate},
	{metric: startTime, digits: 3},
	{metric: idleMemory},
	{metric: peakMemory, rule: atMost(250)},
	{metric: binarySize, digits: 1, rule: atMost(45)},
}

// budgets are those of what is measured.
func (o options) budgets() []budget {
	if o.s3 {
		return onS3
	}
	return onDisk
}

// verdict says whether berth keeps the budget. A figure that is missing keeps nothing.
func (b budget) verdict(all map[string]figures) (text string, kept bool) {
	if b.rule == nil {
		return "", true
	}
	v := all[berth].median(b.metric)
	switch {
	case math.IsNaN(v):
		return "not measured", false
	case !b.rule.holds(v, all):
		return "**missed**", false
	}
	return "kept", true
}
