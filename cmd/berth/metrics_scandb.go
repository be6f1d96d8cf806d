package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"berth/scan"
	"berth/storage/meta"
)

// measureDatabases has the age of vulnerability databases looked up each time that
// Prometheus asks.
func (m *metrics) measureDatabases(db *meta.DB) { m.registry.MustRegister(databaseAges{db}) }

type databaseAges struct{ db *meta.DB }

var (
	databaseAgeSeconds = prometheus.NewDesc("berth_scan_database_age_seconds",
		"Time since the database that images are scanned with was made, by kind: vulnerabilities or java. All replicas tell the same.", []string{"kind"}, nil)
	databaseFailures = prometheus.NewDesc("berth_scan_database_failures",
		"Attempts in a row at fetching a newer database that have failed, by kind. All replicas tell the same.", []string{"kind"}, nil)
)

func (databaseAges) Describe(all chan<- *prometheus.Desc) {
	all <- databaseAgeSeconds
	all <- databaseFailures
}

// Collect tells nothing of a database that does not answer, as [jobCounter] does.
func (a databaseAges) Collect(all chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64, kind scan.DatabaseKind) {
		all <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, string(kind))
	}
	databases, err := a.db.VulnerabilityDatabases(ctx)
	if err != nil {
		return
	}
	for _, d := range databases {
		gauge(databaseAgeSeconds, time.Since(d.UpdatedAt).Seconds(), d.Kind)
	}
	updates, err := a.db.DatabaseUpdates(ctx)
	if err != nil {
		return
	}
	for _, u := range updates {
		gauge(databaseFailures, float64(u.Failures), u.Kind)
	}
}
