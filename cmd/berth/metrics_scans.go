package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"berth/scan"
)

// scanMetrics are what Prometheus is told of scans.
type scanMetrics struct {
	scans *prometheus.HistogramVec
	gates *prometheus.CounterVec
}

func newScanMetrics(with promauto.Factory) scanMetrics {
	return scanMetrics{
		scans: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "berth_scan_seconds", Help: "Time from when a scan was asked for until a scanner told this server how it ended, by kind of the job and outcome: done, retried, failed, or dropped because the image is gone.",
			Buckets: []float64{.25, .5, 1, 2, 5, 15, 60, 300, 1800},
		}, []string{"kind", "outcome"}),
		gates: with.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_scan_gate_pulls_total", Help: "Pulls that a gate has blocked, or only warned of, by its mode.",
		}, []string{"mode"}),
	}
}

func (m scanMetrics) gated(v scan.Verdict) { m.gates.WithLabelValues(string(v.Gate.Mode)).Inc() }

func (m scanMetrics) scanned(kind string, o scan.JobOutcome, took time.Duration) {
	m.scans.WithLabelValues(kind, string(o)).Observe(took.Seconds())
}

// countScans has scans counted when Prometheus asks, once a minute at most.
func (m *metrics) countScans(s *scan.Service) { m.registry.MustRegister(&scanCounter{service: s}) }

type scanCounter struct {
	service *scan.Service

	mu    sync.Mutex
	last  scan.Progress
	until time.Time
}

var (
	scanCount = prometheus.NewDesc("berth_scan_images",
		"Images by the status of their last scan. All replicas tell the same.", []string{"status"}, nil)
	scanOutdated = prometheus.NewDesc("berth_scan_outdated_images",
		"Images whose findings are not from the present vulnerability database. All replicas tell the same.", nil, nil)
	scanWorkers = prometheus.NewDesc("berth_scanners",
		"Scanners that have asked for work within ten minutes, by whether they say that something is wrong. All replicas tell the same.", []string{"trouble"}, nil)
)

func (*scanCounter) Describe(all chan<- *prometheus.Desc) {
	all <- scanCount
	all <- scanOutdated
	all <- scanWorkers
}

// Collect tells nothing of a database that does not answer.
func (c *scanCounter) Collect(all chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().After(c.until) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		p, err := c.service.Progress(ctx)
		if err != nil {
			return
		}
		c.last, c.until = p, time.Now().Add(time.Minute)
	}
	for _, status := range []scan.Status{scan.Pending, scan.Complete, scan.Failed, scan.Unsupported} {
		all <- prometheus.MustNewConstMetric(scanCount, prometheus.GaugeValue, float64(c.last.Statuses[status]), string(status))
	}
	all <- prometheus.MustNewConstMetric(scanOutdated, prometheus.GaugeValue, float64(c.last.Outdated))
	troubled := 0
	for _, w := range c.last.Workers {
		if w.Trouble != "" {
			troubled++
		}
	}
	all <- prometheus.MustNewConstMetric(scanWorkers, prometheus.GaugeValue, float64(len(c.last.Workers)-troubled), "no")
	all <- prometheus.MustNewConstMetric(scanWorkers, prometheus.GaugeValue, float64(troubled), "yes")
}
