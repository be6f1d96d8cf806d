// Package cluster starts berth as many equal replicas: on PostgreSQL and an S3 server, each the real program, behind a
// proxy that sends every request to the next replica.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"berth/conformance/internal/server"
)

// Options say what a cluster is like.
type Options struct {
	Berth    string   // the binary
	Replicas int      // how many of it; zero means three
	Args     []string // further arguments of serve, such as --sparse
}

// Cluster is what runs.
type Cluster struct {
	Postgres *Postgres
	S3       *S3
	Replicas []*server.Berth
	Front    *Front

	dir  string
	opts Options
}

// Start starts everything, with its data and logs in dir, which must be there.
func Start(ctx context.Context, dir string, o Options) (c *Cluster, err error) {
	if c, err = StartEmpty(ctx, dir, o); err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if err := c.startAll(ctx); err != nil {
		return c, err
	}
	addrs := make([]string, len(c.Replicas))
	for i, r := range c.Replicas {
		addrs[i] = r.Addr
	}
	c.Front, err = StartFront(addrs)
	return c, err
}

// StartEmpty starts what berth needs, and no replica of it yet.
func StartEmpty(ctx context.Context, dir string, o Options) (c *Cluster, err error) {
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	c = &Cluster{dir: dir, opts: o, Replicas: make([]*server.Berth, o.Replicas)}
	if c.Postgres, err = StartPostgres(ctx, filepath.Join(dir, "postgres")); err == nil {
		c.S3, err = StartS3(ctx, filepath.Join(dir, "s3"))
	}
	if err != nil {
		err = errors.Join(err, c.Stop())
	}
	return c, err
}

// startAll starts the replicas at once, as an orchestrator does.
func (c *Cluster) startAll(ctx context.Context) error {
	errs := make([]error, len(c.Replicas))
	var wg sync.WaitGroup
	for i := range c.Replicas {
		wg.Go(func() { errs[i] = c.StartReplica(ctx, i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// StartReplica starts replica i, again if it has ended.
func (c *Cluster) StartReplica(ctx context.Context, i int) (err error) {
	args := c.Flags()
	if slices.Contains(c.opts.Args, "--scanner") {
		args = append(args, "--scanner-data", filepath.Join(c.dir, fmt.Sprintf("scanner%d", i)))
	}
	c.Replicas[i], err = server.StartBerth(ctx, c.opts.Berth, "", server.Options{
		Args: append(args, c.opts.Args...),
		Log:  filepath.Join(c.dir, fmt.Sprintf("berth%d.log", i)),
	})
	return err
}

// Flags are those that lead any command of berth to the data.
func (c *Cluster) Flags() []string {
	return []string{"--database", c.Postgres.URL, "--storage", c.S3.URL}
}

// Stop ends everything, the replicas first.
func (c *Cluster) Stop() error {
	var errs []error
	if c.Front != nil {
		errs = append(errs, c.Front.Stop())
	}
	for _, r := range c.Replicas {
		if r != nil {
			errs = append(errs, r.Stop())
		}
	}
	if c.S3 != nil {
		errs = append(errs, c.S3.Stop())
	}
	if c.Postgres != nil {
		errs = append(errs, c.Postgres.Stop())
	}
	return errors.Join(errs...)
}

// Temporary starts a cluster in a folder of its own, which stop removes unless something goes wrong.
func Temporary(ctx context.Context, o Options) (c *Cluster, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "berth-cluster-")
	if err != nil {
		return nil, nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL does not run as root, and has its folder in here
		return nil, nil, err
	}
	if c, err = Start(ctx, dir, o); err != nil {
		return nil, nil, err
	}
	return c, func() error {
		if err := c.Stop(); err != nil {
			return fmt.Errorf("%w\nthe logs are in %s", err, dir)
		}
		return os.RemoveAll(dir)
	}, nil
}
