package main

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

// fsckReport is what `berth fsck -o json` prints.
type fsckReport struct {
	Blobs     int
	Manifests int
	Bytes     int64
	Objects   int
	Losses    int
	Orphans   int
	Problems  []struct{ Kind, Digest, Repository, Key, Message string }
}

// fsck compares what berth knows with what lies in its folder, which no process serves. Losses are an error.
func (r *registry) fsck(ctx context.Context) (fsckReport, error) {
	var report fsckReport
	if err := r.age(); err != nil {
		return report, err
	}
	out, runErr := r.command(ctx, "fsck", "--deep", "-o", "json")
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

// expireAll has berth give up uploads until there are none.
func (r *registry) expireAll(ctx context.Context) (uploads int, err error) {
	for {
		n, err := r.expire(ctx)
		uploads += n
		if n == 0 || err != nil || r.cluster == nil {
			return uploads, err
		}
	}
}

// expire has berth give up all uploads.
func (r *registry) expire(ctx context.Context) (uploads int, err error) {
	out, err := r.command(ctx, "gc", "--upload-expiry", "1ns", "-o", "json")
	if err != nil {
		return 0, err
	}
	var expired []struct{ Upload string }
	err = json.Unmarshal(out, &expired)
	return len(expired), err
}

func (r *registry) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, r.binary, append(args, r.flags()...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("berth %s: %w: %s", args[0], err, stderr.String())
	}
	return out, err
}

// age makes every object look a day old. fsck passes over those that are so new that they may just be on their way,
// and what a kill leaves behind is to be counted.
func (r *registry) age() error {
	day := time.Now().Add(-24 * time.Hour)
	objects := filepath.Join(r.data(), "blobs")
	if r.cluster != nil {
		objects = r.cluster.S3.Folder()
	}
	return filepath.WalkDir(objects, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, day, day)
	})
}
