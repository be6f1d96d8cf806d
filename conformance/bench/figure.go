package main

import (
	"math"
	"slices"
	"time"
)

// metric names what is measured.
type metric string

const (
	pushCPU       metric = "push: CPU s/GiB"
	pushRate      metric = "push: MiB/s"
	pullCPU       metric = "pull: CPU s/GiB"
	pullRate      metric = "pull: MiB/s"
	smallRate     metric = "small images pushed per second"
	smallCPU      metric = "small images: CPU s/1,000"
	mediumRate    metric = "the same with a layer of 64 KiB"
	mediumCPU     metric = "the same: CPU s/1,000"
	headCPU       metric = "HEAD manifest by tag: CPU s/1,000"
	headP50       metric = "HEAD manifest by tag: p50, ms"
	headP99       metric = "HEAD manifest by tag: p99, ms"
	tagsP50       metric = "page of 100 tags from the middle: p50, ms"
	tagsP99       metric = "page of 100 tags from the middle: p99, ms"
	referrersRate metric = "referrers of one subject: per second"
	startTime     metric = "start to first answer, s"
	idleMemory    metric = "idle memory, MiB"
	peakMemory    metric = "peak memory, pushing and pulling, MiB"
	binarySize    metric = "binary, MB"

	// Of the growth table only.
	catalogP50    metric = "page of 10 repositories from the middle: p50, ms"
	referrersP50  metric = "referrers of one of many images: p50, ms"
	describeP50   metric = "DescribeImages, 100 from the middle: p50, ms"
	listImagesP50 metric = "ListImages, 100 from the middle: p50, ms"
	deleteP50     metric = "delete of a manifest: p50, ms"
	bytesPerImage metric = "database, bytes an image"

	// Of garbage collection only.
	gcRate     metric = "blobs collected per second"
	gcIdleP99  metric = "push of a small image without: p99, ms"
	gcBusyP99  metric = "push of a small image beside: p99, ms"
	gcSlower   metric = "beside : without, p99"
	gcIdleRate metric = "small images pushed per second without"
	gcBusyRate metric = "small images pushed per second beside"
	gcBeside   metric = "blobs collected beside the pushes"
	gcPruned   metric = "images pruned beside the pushes"

	// Of scans only.
	scanFirst       metric = "start of berth to the first findings, s"
	scanCold        metric = "Debian, pushed to found, s"
	scanSmall       metric = "a small layer on it, pushed to found, s"
	scanColdCPU     metric = "Debian: CPU s of the scanner"
	scanSmallCPU    metric = "a small layer on it: CPU s of the scanner"
	scanMatchCPU    metric = "inventories matched: CPU s of the scanner"
	scanFindings    metric = "findings of the Debian"
	scanMany        metric = "images scanned per second, a small layer each"
	scanMatch       metric = "inventories matched with a new database, s"
	scanMatched     metric = "inventories that were matched"
	scanReads       metric = "blobs read meanwhile, but for the database"
	scanIdlePush    metric = "push of a small image without: p99, ms"
	scanBusyPush    metric = "push of a small image beside a scan: p99, ms"
	scanSlowerPush  metric = "beside : without, push p99"
	scanIdlePull    metric = "pull of an image without: p99, ms"
	scanBusyPull    metric = "pull of an image beside a scan: p99, ms"
	scanSlowerPull  metric = "beside : without, pull p99"
	scanBeside      metric = "Debians scanned beside the pushes and pulls"
	scannerMemory   metric = "peak memory of the scanner, MiB"
	scanEngineSpace metric = "peak memory of its engine, MiB"
	scanMemory      metric = "peak memory of both, MB"

	// Of a crowd only.
	crowdDone    metric = "pushes that ended well"
	crowdRetries metric = "pushes begun again after a 503"
	crowdTime    metric = "time, s"
	crowdRate    metric = "MiB/s"
	crowdPeak    metric = "peak memory, MiB"
)

// figures are the samples of each metric, one a round.
type figures map[metric][]float64

// add appends a sample.
func (f figures) add(m metric, v float64) { f[m] = append(f[m], v) }

// median is the middle sample, which one noisy round does not move. NaN means that there is none.
func (f figures) median(m metric) float64 {
	s := slices.Clone(f[m])
	if len(s) == 0 {
		return math.NaN()
	}
	slices.Sort(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// percentile of durations in milliseconds.
func percentile(d []time.Duration, p float64) float64 {
	if len(d) == 0 {
		return math.NaN()
	}
	s := slices.Clone(d)
	slices.Sort(s)
	i := int(math.Ceil(p/100*float64(len(s)))) - 1
	return float64(s[max(i, 0)]) / float64(time.Millisecond)
}
