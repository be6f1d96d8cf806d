package main

import (
	"context"
	"errors"
	"strings"

	"berth/conformance/internal/audit"
	"berth/conformance/internal/cluster"
)

// replicas is how many there are.
const replicas = 3

// world is the servers, the proxies before them and the replicas that know only those.
type world struct {
	*cluster.Cluster
	bucket *bucketProxy
	wire   *wire
	data   audit.Data // without the proxies
}

func startWorld(ctx context.Context, dir, berth string, s scenario) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	w.Cluster, err = cluster.StartEmpty(ctx, dir, cluster.Options{Berth: berth, Replicas: replicas, Args: s.args})
	if err != nil {
		return w, err
	}
	w.data = audit.Data{Berth: berth, Flags: w.Flags(), Objects: w.S3.Folder()}
	if w.bucket, err = startBucketProxy(w.S3.Addr); err != nil {
		return w, err
	}
	if w.wire, err = startWire(w.Postgres.Addr); err != nil {
		return w, err
	}
	w.S3.URL = cluster.BucketURL(w.bucket.addr) + "&" + s.storage
	w.Postgres.URL = strings.Replace(w.Postgres.URL, w.Postgres.Addr, w.wire.addr, 1)
	for i := range replicas {
		if err := w.StartReplica(ctx, i); err != nil {
			return w, err
		}
	}
	return w, nil
}

// stopReplicas has them end in order.
func (w *world) stopReplicas() error {
	var errs []error
	for _, r := range w.Replicas {
		if r != nil {
			errs = append(errs, r.Stop())
		}
	}
	return errors.Join(errs...)
}

func (w *world) stop() error {
	var errs []error
	if w.Cluster != nil {
		errs = append(errs, w.Stop())
	}
	if w.bucket != nil {
		errs = append(errs, w.bucket.stop())
	}
	if w.wire != nil {
		errs = append(errs, w.wire.stop())
	}
	return errors.Join(errs...)
}
