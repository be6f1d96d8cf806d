package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// rest is how long a registry is left alone before its idle memory is read.
const rest = 2 * time.Second

// large measures what depends on how much a registry holds: a page from the middle of many tags, and how fast it
// starts and how little memory it takes with them. It returns how many tags there were.
func large(ctx context.Context, c *contestant, dir, prefix string, s sizes, m mills, f figures) (tags int, err error) {
	dir = filepath.Join(dir, "large")
	defer os.RemoveAll(dir)
	if c.tags {
		if tags, err = listTags(ctx, c, dir, prefix, s, m, f); err != nil {
			return tags, err
		}
	}
	syscall.Sync()
	return tags, startAgain(ctx, c, dir, s, f)
}

// listTags fills the registry with tags and reads pages of them.
func listTags(ctx context.Context, c *contestant, dir, prefix string, s sizes, m mills, f figures) (tags int, err error) {
	se, err := open(ctx, c, dir, prefix, s, m, f)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := se.close(); err == nil {
			err = e
		}
	}()
	repo := se.repo("tags", 0)
	begun := time.Now()
	if tags, err = se.seedTags(repo); err != nil {
		return tags, fmt.Errorf("%s: push tags: %w", c.name, err)
	}
	progress("%s: %d tags pushed in %.1f s", c.name, tags, time.Since(begun).Seconds())
	if err := se.pagesOfTags(repo, tags); err != nil {
		return tags, fmt.Errorf("%s: list tags: %w", c.name, err)
	}
	return tags, nil
}

// startAgain starts the registry on what its folder holds by now, several times, and looks how much memory it takes
// when nobody asks it anything.
func startAgain(ctx context.Context, c *contestant, dir string, s sizes, f figures) error {
	if c.peer != nil { // cannot be started here, so its memory is what it holds after the work
		if c.peer.pid == 0 {
			return nil
		}
		idle, err := memory(c.peer.pid, "VmRSS")
		f.add(idleMemory, idle)
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for range s.startCount {
		r, err := c.relaunch(ctx, dir)
		if err != nil {
			return err
		}
		f.add(startTime, r.took.Seconds())
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
		idle, err := memory(r.pid, "VmRSS")
		f.add(idleMemory, idle)
		if e := r.stop(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}
