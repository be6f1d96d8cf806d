package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// sizes says how much of each work is done.
type sizes struct {
	clients    int
	images     int           // pushed and pulled in a round, in all
	layerSize  int           // of four layers each
	duration   time.Duration // of each work that is counted by time
	tags       int           // in the repository whose middle is listed
	slowTags   int           // the same for a registry that takes one tag a request
	referrers  int           // of one subject
	pages      int           // of tags that are read
	startCount int           // how often the start is timed
	pushes     int           // of small images, in a round of the growth table
}

const layersPerImage = 4

// stint is one contestant at work in one round.
type stint struct {
	sizes
	prefix  string // of repositories, new in every run and round: a peer remembers
	client  *client
	running *running
	mills
	figures figures
}

// mills make the layers.
type mills struct{ large, small, medium *mill }

// open starts the contestant and connects to it.
func open(ctx context.Context, c *contestant, dir, prefix string, s sizes, m mills, f figures) (*stint, error) {
	r, err := c.start(ctx, dir)
	if err != nil {
		return nil, err
	}
	cl, err := newClient(ctx, r.url, c.user, c.pass, s.clients)
	if err != nil {
		_ = r.stop()
		return nil, err
	}
	return &stint{s, prefix, cl, r, m, f}, nil
}

// close stops the contestant.
func (s *stint) close() error {
	s.client.close()
	return s.running.stop()
}

// round measures everything that a contestant does with a fresh folder.
func round(ctx context.Context, c *contestant, dir, prefix string, s sizes, m mills, f figures) (err error) {
	dir = filepath.Join(dir, "round")
	defer os.RemoveAll(dir)
	se, err := open(ctx, c, dir, prefix, s, m, f)
	if err != nil {
		return err
	}
	defer func() {
		if e := se.close(); err == nil {
			err = e
		}
		syscall.Sync() // what one leaves to the disk is not the next one's to wait for
	}()
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"push and pull", se.pushPull},
		{"small images", se.smallImages},
		{"images with a layer of 64 KiB", se.mediumImages},
		{"HEAD", se.heads},
		{"referrers", se.referrersOfOne},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %s: %w", c.name, step.name, err)
		}
	}
	return nil
}

// repo is the repository of one worker.
func (s *stint) repo(kind string, worker int) string {
	return fmt.Sprintf("%s/%s%d", s.prefix, kind, worker)
}
