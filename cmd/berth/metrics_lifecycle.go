package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"berth/lifecycle"
)

// prunings are the metrics of lifecycle policies.
type prunings struct {
	images  *prometheus.CounterVec
	tags    prometheus.Counter
	skipped prometheus.Counter
	runs    *prometheus.HistogramVec
}

func newPrunings(with promauto.Factory) prunings {
	return prunings{
		images: with.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_lifecycle_images_total", Help: "Images that lifecycle policies have taken on this server, by action: expire or transition.",
		}, []string{"action"}),
		tags: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_lifecycle_tags_total", Help: "Tags that lifecycle policies have taken on this server from images that stay.",
		}),
		skipped: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_lifecycle_skipped_total", Help: "Images that changed while a lifecycle policy was about to take them; the next run decides anew.",
		}),
		runs: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "berth_lifecycle_run_seconds", Help: "Time to apply a lifecycle policy, by what came of it: done, stopped, superseded or failed.",
			Buckets: []float64{.01, .1, 1, 10, 60, 600, 3600},
		}, []string{"outcome"}),
	}
}

// applied counts what one transaction of a run has done.
func (p prunings) applied(a lifecycle.Applied) {
	p.images.WithLabelValues(string(lifecycle.Expire)).Add(float64(a.Expired))
	p.images.WithLabelValues(string(lifecycle.Transition)).Add(float64(a.Archived))
	p.tags.Add(float64(a.Untagged))
	p.skipped.Add(float64(a.Skipped))
}

// pruned measures a run.
func (p prunings) pruned(r lifecycle.Run, took time.Duration) {
	p.runs.WithLabelValues(string(r.State)).Observe(took.Seconds())
}
