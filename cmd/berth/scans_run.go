package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
)

type scanRun struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Image      string        `arg:"" placeholder:"REPO|REPO:TAG|REPO@DIGEST" help:"The image, or of REPO all that have a tag."`
	Wait       bool          `help:"Wait for the scans to end, be they new or those that were asked for before, and fail if one does."`
	Timeout    time.Duration `default:"10m" help:"With --wait: how long at most."`
	Force      bool          `help:"Also if it was asked for within 24 hours."`
	Anew       bool          `help:"Read the layers once more instead of going by the inventory: there is a Java index now, or a newer scanner. Implies --force."`
}

// ranScan is what programs are told of a scan.
type ranScan struct {
	Repository  registry.Name `json:"repository"`
	Digest      digest.Digest `json:"digest"`
	Status      scan.Status   `json:"status"`
	Reason      string        `json:"reason,omitempty"`
	CompletedAt time.Time     `json:"completedAt,omitzero"`
	Counts      scan.Counts   `json:"counts,omitempty"`
}

func newRanScan(s scan.Scan) ranScan {
	return ranScan{s.Repository, s.Digest, s.Status, s.Reason, s.CompletedAt, s.Counts}
}

func (cmd scanRun) Run(ctx context.Context, c console) error {
	audit, err := cmd.audit(c)
	if err != nil {
		return err
	}
	ctx = registry.WithCause(ctx, registry.Cause{By: audit.who})
	return cmd.withScans(ctx, func(e *engine.Engine, scans *scan.Service) error {
		images, err := findImages(ctx, e, cmd.Image)
		if err != nil {
			return err
		}
		var started []imageArg
		for _, i := range images {
			there, err := cmd.start(ctx, c, audit, scans, i)
			if err != nil {
				return err
			}
			if there {
				started = append(started, i)
			}
		}
		return cmd.tell(ctx, c, scans, started)
	})
}

// start has an image scanned, and reports whether there is a scan of it now. One of many is passed
// over where one by itself would be refused.
func (cmd scanRun) start(ctx context.Context, c console, audit auditLog, scans scan.Scans, i imageArg) (bool, error) {
	_, err := scans.Start(ctx, i.repo, i.Digest, scan.StartOptions{Force: cmd.Force || cmd.Anew, Anew: cmd.Anew})
	switch {
	case err == nil:
		audit.image(ctx, "StartImageScan", i.repo, []registry.ImageID{{Digest: i.Digest}})
		return true, nil
	case errors.Is(err, registry.ErrLimitExceeded):
		s, lookErr := scans.Scan(ctx, i.repo, i.Digest)
		if lookErr == nil && (cmd.Wait || s.Status == scan.Pending || s.Status == scan.InProgress) {
			return true, nil // it is what was asked for, or all there is to wait for
		}
		err = fmt.Errorf("%s: %s; --force has it scanned all the same", i.name, plain(err))
	case errors.Is(err, scan.ErrUnsupportedImage):
		err = scanError(i.name, err)
	default:
		return false, scanError(i.name, err)
	}
	if i.sole {
		return false, err
	}
	_, err = fmt.Fprintf(c.err, "berth: %v\n", err)
	return false, err
}

// tell says how the scans stand, with --wait in the end.
func (cmd scanRun) tell(ctx context.Context, c console, scans scan.Scans, started []imageArg) error {
	if cmd.Wait {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, cmd.Timeout, fmt.Errorf("after %s", cmd.Timeout))
		defer stop()
	}
	told := []ranScan{}
	var rows [][]string
	var failed error
	for _, i := range started {
		s, err := cmd.look(ctx, c, scans, i)
		if err != nil {
			return scanError(i.name, err)
		}
		if cmd.Wait && s.Status == scan.Failed {
			failed = errors.Join(failed, fmt.Errorf("the scan of %s has failed: %s", i.name, printable(s.Reason)))
		}
		found := ""
		if s.Counts != nil {
			found = tellCounts(s.Counts)
		}
		told = append(told, newRanScan(s))
		rows = append(rows, []string{i.name, string(i.Digest), tellScan(s), found})
	}
	return errors.Join(cmd.print(c, told, []string{"IMAGE", "DIGEST", "STATUS", "VULNERABILITIES"}, rows), failed)
}

// look says how a scan stands, with --wait when it has ended. Who waits is told what for.
func (cmd scanRun) look(ctx context.Context, c console, scans scan.Scans, i imageArg) (scan.Scan, error) {
	const (
		pause = 200 * time.Millisecond
		long  = 5 * time.Second // after which there should have been an answer
	)
	told, since := "", time.Now()
	for {
		s, err := scans.Scan(ctx, i.repo, i.Digest)
		if err != nil || !cmd.Wait || s.Status != scan.Pending && s.Status != scan.InProgress {
			return s, err
		}
		if s.Reason != told && time.Since(since) > long {
			told = s.Reason
			fmt.Fprintf(c.err, "berth: waiting for %s: %s\n", i.name, tellScan(s))
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("the scan has not ended %w; it is %s", context.Cause(ctx), tellScan(s))
		case <-time.After(pause):
		}
	}
}
