package engine

import (
	"context"
	"slices"
	"time"

	"berth/registry"
	"berth/storage/meta"
)

// runningStep is how many images of a cluster change in one transaction.
const runningStep = 500

// SetRunning implements [registry.Running]. What is new comes first and what is gone goes last,
// in steps: in between too much is kept, never too little. A cluster that is new counts when all
// of its images are there.
func (e *Engine) SetRunning(ctx context.Context, cluster string, images []registry.ImageRef) (c registry.Cluster, err error) {
	err = e.aloneAtCluster(ctx, cluster, func(ctx context.Context) error {
		c, err = e.setRunning(ctx, cluster, images)
		return err
	})
	return c, err
}

// reportLease is how long after the death of a server another report of a cluster can be written.
const reportLease = 30 * time.Second

// aloneAtCluster calls do while nobody else changes what a cluster runs: of two reports at once
// neither would be left.
func (e *Engine) aloneAtCluster(ctx context.Context, cluster string, do func(context.Context) error) error {
	held, err := e.meta.WithLease(ctx, "report of cluster "+cluster, reportLease, do)
	if err == nil && !held {
		err = registry.ErrUnavailable.With("another report of cluster %q is being written; try again shortly", cluster)
	}
	return err
}

func (e *Engine) setRunning(ctx context.Context, cluster string, images []registry.ImageRef) (registry.Cluster, error) {
	wanted := make(map[registry.ImageRef]bool, len(images))
	for _, r := range images {
		wanted[r] = true
	}
	c := registry.Cluster{Name: cluster}
	count := len(wanted)
	if err := e.meta.Update(ctx, func(tx *meta.Tx) error { return tx.AddCluster(ctx, cluster) }); err != nil {
		return c, err
	}
	gone, err := e.notRunning(ctx, cluster, wanted) // leaves those in wanted that are new
	if err != nil {
		return c, err
	}
	var come []registry.ImageRef
	for _, r := range images {
		if wanted[r] {
			delete(wanted, r)
			come = append(come, r)
		}
	}
	for part := range slices.Chunk(come, runningStep) {
		err := e.meta.Update(ctx, func(tx *meta.Tx) error {
			// Somebody may have removed the cluster meanwhile.
			if err := tx.AddCluster(ctx, cluster); err != nil {
				return err
			}
			return tx.AddRunning(ctx, cluster, part)
		})
		if err != nil {
			return c, err
		}
	}
	err = e.meta.Update(ctx, func(tx *meta.Tx) (err error) {
		c, err = tx.PutCluster(ctx, cluster, count)
		return err
	})
	if err != nil {
		return c, err
	}
	return c, e.removeRunning(ctx, cluster, gone)
}

// notRunning lists what a cluster is said to run and wanted does not have, and takes the rest
// out of wanted.
func (e *Engine) notRunning(ctx context.Context, cluster string, wanted map[registry.ImageRef]bool) (gone []registry.ImageRef, err error) {
	for last := (registry.ImageRef{}); ; {
		page, err := e.meta.RunningImages(ctx, cluster, last, runningStep)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			last = r
			if !wanted[r] {
				gone = append(gone, r)
			}
			delete(wanted, r)
		}
		if len(page) < runningStep {
			return gone, nil
		}
	}
}

func (e *Engine) removeRunning(ctx context.Context, cluster string, gone []registry.ImageRef) error {
	for part := range slices.Chunk(gone, runningStep) {
		if err := e.meta.Update(ctx, func(tx *meta.Tx) error { return tx.RemoveRunning(ctx, cluster, part) }); err != nil {
			return err
		}
	}
	return nil
}

// Clusters implements [registry.Running].
func (e *Engine) Clusters(ctx context.Context, last string, limit int) ([]registry.Cluster, error) {
	return e.meta.Clusters(ctx, last, limit)
}

// RunningImages implements [registry.Running].
func (e *Engine) RunningImages(ctx context.Context, cluster string, last registry.ImageRef, limit int) ([]registry.ImageRef, error) {
	if _, err := e.meta.Cluster(ctx, cluster); err != nil {
		return nil, err
	}
	return e.meta.RunningImages(ctx, cluster, last, limit)
}

// RemoveCluster implements [registry.Running]. The cluster counts no longer before the first of
// its images goes.
func (e *Engine) RemoveCluster(ctx context.Context, cluster string) error {
	return e.aloneAtCluster(ctx, cluster, func(ctx context.Context) error { return e.removeCluster(ctx, cluster) })
}

func (e *Engine) removeCluster(ctx context.Context, cluster string) error {
	if err := e.meta.Update(ctx, func(tx *meta.Tx) error { return tx.SilenceCluster(ctx, cluster) }); err != nil {
		return err
	}
	gone, err := e.notRunning(ctx, cluster, nil)
	if err != nil {
		return err
	}
	if err := e.removeRunning(ctx, cluster, gone); err != nil {
		return err
	}
	return e.meta.Update(ctx, func(tx *meta.Tx) error { return tx.DeleteCluster(ctx, cluster) })
}
