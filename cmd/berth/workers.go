package main

import (
	"log/slog"

	"berth/lifecycle"
	"berth/registry/engine"
	"berth/scan/vex"
	"berth/storage/meta"
	"berth/storage/queue"
)

// pruner is what applies lifecycle policies. busy reports whether clients are being served.
func (f serveFlags) pruner(db *meta.DB, m *metrics, log *slog.Logger, busy func() bool) (*lifecycle.Pruner, error) {
	most, err := f.limit()
	if err != nil {
		return nil, err
	}
	return lifecycle.NewPruner(db, lifecycle.Options{
		Every: f.LifecycleEvery, Limit: most, Logger: log, Applied: m.applied, Ended: m.pruned, Busy: busy,
	}), nil
}

// workers do the jobs of the registry.
func workers(db *meta.DB, m *metrics, log *slog.Logger, eng *engine.Engine, p *lifecycle.Pruner) []*queue.Worker {
	return []*queue.Worker{
		queue.NewWorker(db, eng.Jobs(), queue.Options{Logger: log, Observe: m.job}),
		// Each job of these has the images of a whole repository in memory, and some take long.
		queue.NewWorker(db, p.Runs(), queue.Options{Logger: log, Observe: m.job, Concurrency: 2}),
		queue.NewWorker(db, p.Previews(), queue.Options{Logger: log, Observe: m.job, Concurrency: 1}),
		// A document of 8 MiB takes several times that to read.
		queue.NewWorker(db, vex.NewReader(db, eng).Jobs(), queue.Options{Logger: log, Observe: m.job, Concurrency: 1}),
	}
}
