// Package audit has berth check its own data, when no server runs, and looks into the bucket itself.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Data is what a berth keeps.
type Data struct {
	Berth   string   // the binary
	Flags   []string // that lead any command of it to the data
	Objects string   // the folder that objects lie in, also that of a bucket
}

// Report is what `berth fsck -o json` prints.
type Report struct {
	Blobs     int
	Manifests int
	Bytes     int64
	Objects   int
	Losses    int
	Orphans   int
	Problems  []struct{ Kind, Digest, Repository, Key, Message string }
}

// Fsck compares what berth knows with what it keeps. Losses are an error.
func (d Data) Fsck(ctx context.Context) (Report, error) {
	var report Report
	if err := d.age(); err != nil {
		return report, err
	}
	out, runErr := d.command(ctx, "fsck", "--deep", "-o", "json")
	if err := json.Unmarshal(out, &report); err != nil {
		return report, fmt.Errorf("berth fsck: %w; it prints %q", errors.Join(runErr, err), out)
	}
	if runErr == nil && report.Losses == 0 {
		return report, nil
	}
	err := fmt.Errorf("violation: berth fsck --deep finds %d losses", report.Losses)
	for _, p := range report.Problems {
		if p.Kind != "orphan" {
			err = errors.Join(err, fmt.Errorf("  %s: %s %s %s: %s", p.Kind, p.Repository, p.Digest, p.Key, p.Message))
		}
	}
	return report, errors.Join(err, runErr)
}

// Expire has berth give up uploads until there are none. Garbage stays.
func (d Data) Expire(ctx context.Context) (uploads int, err error) {
	for {
		out, err := d.command(ctx, "gc", "--upload-expiry", "1ns", "--gc-grace", "24h", "-o", "json")
		if err != nil {
			return uploads, err
		}
		var removed struct{ Uploads []struct{ Upload string } }
		if err := json.Unmarshal(out, &removed); err != nil {
			return uploads, fmt.Errorf("berth gc: %w; it prints %q", err, out)
		}
		if len(removed.Uploads) == 0 {
			return uploads, nil
		}
		uploads += len(removed.Uploads)
	}
}

// Collected is how many blobs garbage collection has removed, before Collect and by it.
type Collected struct{ During, After int }

// Collect has berth remove all that nothing has mentioned for the grace.
func (d Data) Collect(ctx context.Context, grace time.Duration) (c Collected, err error) {
	var before, after struct{ Total struct{ Blobs int } }
	status := func(into any) error {
		out, err := d.command(ctx, "gc", "status", "-o", "json")
		if err == nil {
			err = json.Unmarshal(out, into)
		}
		return err
	}
	err = status(&before)
	for range 2 { // the second time for blobs that no repository sees since the first
		if err == nil {
			_, err = d.command(ctx, "gc", "run", "--gc-grace", grace.String())
		}
	}
	if err == nil {
		err = status(&after)
	}
	return Collected{before.Total.Blobs, after.Total.Blobs - before.Total.Blobs}, err
}

func (d Data) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.Berth, append(args, d.Flags...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("berth %s: %w: %s", args[0], err, stderr.String())
	}
	return out, err
}

// age makes every object look a day old. fsck passes over those that are so new that they may just be on their way,
// and what faults leave behind is to be counted.
func (d Data) age() error {
	day := time.Now().Add(-24 * time.Hour)
	return filepath.WalkDir(d.Objects, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chtimes(path, day, day)
	})
}
