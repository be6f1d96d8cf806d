package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"berth/registry"
)

// measureSpace has the room that blobs take looked up each time that Prometheus asks.
func (m *metrics) measureSpace(s registry.Space) { m.registry.MustRegister(spaceCollector{s}) }

type spaceCollector struct{ space registry.Space }

var (
	storageBytes = prometheus.NewDesc("berth_storage_bytes",
		"Bytes of all blobs, each counted once. All replicas tell the same.", nil, nil)
	quotaLimit = prometheus.NewDesc("berth_quota_limit_bytes",
		"Bytes that the repositories under a prefix may have.", []string{"prefix"}, nil)
	quotaUsed = prometheus.NewDesc("berth_quota_used_bytes",
		"Bytes that the repositories under a prefix have, each blob counted once.", []string{"prefix"}, nil)
)

func (spaceCollector) Describe(all chan<- *prometheus.Desc) {
	all <- storageBytes
	all <- quotaLimit
	all <- quotaUsed
}

// Collect tells nothing of a database that does not answer, as [jobCounter] does.
func (c spaceCollector) Collect(all chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if bytes, err := c.space.RegistryUsage(ctx); err == nil {
		all <- prometheus.MustNewConstMetric(storageBytes, prometheus.GaugeValue, float64(bytes))
	}
	quotas, err := c.space.Quotas(ctx)
	if err != nil {
		return
	}
	for _, q := range quotas {
		all <- prometheus.MustNewConstMetric(quotaLimit, prometheus.GaugeValue, float64(q.Bytes), q.Prefix)
		all <- prometheus.MustNewConstMetric(quotaUsed, prometheus.GaugeValue, float64(q.Used), q.Prefix)
	}
}
