package meta

import (
	"context"
	"database/sql"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Cluster finds a cluster. Errors: ErrNotSet.
func (q queries) Cluster(ctx context.Context, name string) (registry.Cluster, error) {
	c := registry.Cluster{Name: name}
	var reported int64
	err := q.run.get(ctx, `SELECT reported_at, images FROM clusters WHERE name = ?`, []any{name}, &reported, &c.Images)
	if isNone(err) {
		err = clusterUnknown(name)
	}
	c.ReportedAt = reportedAt(reported)
	return c, err
}

func clusterUnknown(name string) error {
	return registry.ErrNotSet.With("no cluster %q has said what it runs", name)
}

// reportedAt is zero as long as a cluster has not said all that it runs.
func reportedAt(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return fromMicros(us)
}

// Clusters lists the clusters after last, by name.
func (q queries) Clusters(ctx context.Context, last string, limit int) ([]registry.Cluster, error) {
	return collect(ctx, q.run, func(rows *sql.Rows) (c registry.Cluster, err error) {
		var reported int64
		err = rows.Scan(&c.Name, &reported, &c.Images)
		c.ReportedAt = reportedAt(reported)
		return c, err
	}, `SELECT name, reported_at, images FROM clusters WHERE name > ? ORDER BY name LIMIT ?`, last, limit)
}

// RunningImages lists what a cluster runs, after last.
func (q queries) RunningImages(ctx context.Context, cluster string, last registry.ImageRef, limit int) ([]registry.ImageRef, error) {
	return collect(ctx, q.run, func(rows *sql.Rows) (r registry.ImageRef, err error) {
		return r, rows.Scan(&r.Repository, &r.Digest)
	}, `SELECT repository, digest FROM running_images WHERE cluster = ? AND (repository, digest) > (?, ?)
		ORDER BY repository, digest LIMIT ?`, cluster, string(last.Repository), string(last.Digest), limit)
}

// RunningIn lists the clusters that run images of a repository, by the digests that they run.
func (q queries) RunningIn(ctx context.Context, repo registry.Name) (map[digest.Digest][]string, error) {
	running := map[digest.Digest][]string{}
	err := q.run.query(ctx, func(rows *sql.Rows) error {
		var d digest.Digest
		var cluster string
		err := rows.Scan(&d, &cluster)
		running[d] = append(running[d], cluster)
		return err
	}, `SELECT digest, cluster FROM running_images WHERE repository = ? ORDER BY digest, cluster`, string(repo))
	return running, err
}

// AddCluster notes, unless it is known, a cluster that is about to say what it runs. Until
// PutCluster it has said nothing. Errors: ErrLimitExceeded.
func (tx *Tx) AddCluster(ctx context.Context, name string) error {
	var others int
	err := tx.run.get(ctx, `SELECT count(*) FROM clusters WHERE name <> ?`, []any{name}, &others)
	if err == nil && others >= registry.MaxClusters {
		err = registry.ErrLimitExceeded.With("%d clusters have said what they run, and more are not kept; remove one", others)
	}
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO clusters (name, reported_at, images) VALUES (?, 0, 0) ON CONFLICT (name) DO NOTHING`, name)
	return err
}

// PutCluster notes that a cluster has said that it runs so many images.
func (tx *Tx) PutCluster(ctx context.Context, name string, images int) (registry.Cluster, error) {
	_, err := tx.exec(ctx, `INSERT INTO clusters (name, reported_at, images) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET reported_at = excluded.reported_at, images = excluded.images`, name, micros(tx.now), images)
	return registry.Cluster{Name: name, Images: images, ReportedAt: tx.now}, err
}

// AddRunning notes that a cluster runs images.
func (tx *Tx) AddRunning(ctx context.Context, cluster string, images []registry.ImageRef) error {
	for _, r := range images {
		_, err := tx.exec(ctx, `INSERT INTO running_images (cluster, repository, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			cluster, string(r.Repository), string(r.Digest))
		if err != nil {
			return err
		}
	}
	return nil
}

// RemoveRunning notes that a cluster runs images no longer.
func (tx *Tx) RemoveRunning(ctx context.Context, cluster string, images []registry.ImageRef) error {
	for _, r := range images {
		_, err := tx.exec(ctx, `DELETE FROM running_images WHERE cluster = ? AND repository = ? AND digest = ?`,
			cluster, string(r.Repository), string(r.Digest))
		if err != nil {
			return err
		}
	}
	return nil
}

// SilenceCluster takes back that a cluster has said what it runs. Errors: ErrNotSet.
func (tx *Tx) SilenceCluster(ctx context.Context, name string) error {
	n, err := tx.exec(ctx, `UPDATE clusters SET reported_at = 0, images = 0 WHERE name = ?`, name)
	if err == nil && n == 0 {
		err = clusterUnknown(name)
	}
	return err
}

// DeleteCluster forgets a cluster with what it runs, of which most should be gone by then.
// Errors: ErrNotSet.
func (tx *Tx) DeleteCluster(ctx context.Context, name string) error {
	if _, err := tx.exec(ctx, `DELETE FROM running_images WHERE cluster = ?`, name); err != nil {
		return err
	}
	n, err := tx.exec(ctx, `DELETE FROM clusters WHERE name = ?`, name)
	if err == nil && n == 0 {
		err = clusterUnknown(name)
	}
	return err
}
