package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// besides is how many Debians wait for the scanner while others push and pull: enough for it
// to be at work all the time.
const besides = 16

// beside measures pushes and pulls of images that nobody scans, without and beside a scanner at full speed.
func (s *scanning) beside(ctx context.Context, quick bool) error {
	if err := s.pushBeside(scanIdlePush, ""); err != nil {
		return err
	}
	if err := s.pullBeside(scanIdlePull); err != nil {
		return err
	}
	waiting := besides
	if quick {
		waiting = 4
	}
	for range waiting {
		im, err := s.image(s.base.unseen)
		if err != nil {
			return err
		}
		if err := im.push(s.client, scanRepo, true); err != nil {
			return err
		}
	}
	before, err := s.running.scanTotals(ctx)
	if err != nil {
		return err
	}
	if err := s.pushBeside(scanBusyPush, ""); err != nil {
		return err
	}
	if err := s.pullBeside(scanBusyPull); err != nil {
		return err
	}
	after, err := s.running.scanTotals(ctx)
	if err != nil {
		return err
	}
	if after.Waiting+after.Scanning == 0 && !quick {
		return errors.New("the scanner had nothing more to do before the pushes and pulls ended; give less with -duration")
	}
	s.figures.add(scanBeside, float64(after.Current-before.Current))
	last := func(m metric) float64 { all := s.figures[m]; return all[len(all)-1] }
	s.figures.add(scanSlowerPush, last(scanBusyPush)/last(scanIdlePush))
	s.figures.add(scanSlowerPull, last(scanBusyPull)/last(scanIdlePull))
	return s.running.awaitTotals(ctx, 10*time.Minute, func(t scanTotals) bool { return t.Scanning+t.Waiting == 0 })
}

// pullBeside measures pulls of images with a layer of 64 KiB.
func (s *stint) pullBeside(p99 metric) error {
	images := make([]image, s.clients)
	for w := range images {
		images[w] = newImage("pulled", s.medium, 1)
		if err := images[w].push(s.client, s.repo("image", w), false); err != nil {
			return err
		}
	}
	e, err := measureFor(s.duration, s.running.pid, s.clients, func(worker, _ int) error {
		return images[worker].pull(s.client, s.repo("image", worker), false)
	})
	if err != nil {
		return fmt.Errorf("pulling: %w", err)
	}
	s.figures.add(p99, percentile(e.latency, 99))
	return nil
}

// debianPath is where the tests of the scanner or conformance/clients/install.sh have left a Debian.
func debianPath() string {
	cache := os.Getenv("BERTH_CACHE")
	if cache == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		cache = filepath.Join(home, "berth")
	}
	made := filepath.Join(cache, "debian", "bookworm-minbase.tar")
	if _, err := os.Stat(made); err == nil {
		return made
	}
	return filepath.Join(cache, "debian-bookworm.tar")
}
