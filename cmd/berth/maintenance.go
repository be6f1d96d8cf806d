package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"berth/registry/engine"
)

// fsckCommand compares rows with objects.
type fsckCommand struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Deep       bool     `help:"Also read every blob and compare it with its digest."`
	Repair     bool     `help:"Mark blobs whose objects are missing, and with --deep damaged, as lost, so that the next push replaces them."`
	Sparse     []string `placeholder:"PATTERN" help:"As for serve: repositories whose manifests may be incomplete."`
}

func (cmd fsckCommand) Run(ctx context.Context, c console) error {
	opts := engine.Options{AllowSparse: matchAny(cmd.Sparse)}
	return cmd.withEngine(ctx, opts, func(e *engine.Engine) error {
		problems := []engine.Problem{}
		summary, err := e.Inspect(ctx, engine.Check{Deep: cmd.Deep, Repair: cmd.Repair, Found: func(p engine.Problem) error {
			if cmd.Output == "json" {
				problems = append(problems, p)
				return nil
			}
			_, err := fmt.Fprintf(c.out, "%s: %s %s %s: %s\n", p.Kind, p.Repository, p.Digest, p.Key, p.Message)
			return err
		}})
		if err != nil {
			return err
		}
		if cmd.Output == "json" {
			err = json.NewEncoder(c.out).Encode(struct {
				engine.Summary
				Problems []engine.Problem `json:"problems"`
			}{summary, problems})
		} else {
			_, err = fmt.Fprintf(c.out, "%d blobs (%s), %d manifests, %d objects: %d losses, %d orphans, %d repaired\n",
				summary.Blobs, formatBytes(summary.Bytes), summary.Manifests, summary.Objects, summary.Losses, summary.Orphans, summary.Repaired)
		}
		if err == nil && summary.Losses > 0 {
			err = errTrouble
		}
		return err
	})
}

// gcCommand removes abandoned uploads and does the jobs that are due. A running server
// does so by itself.
type gcCommand struct {
	dataFlags    `embed:""`
	outputFlag   `embed:""`
	DryRun       bool          `help:"Only tell what would be removed."`
	UploadExpiry time.Duration `default:"24h" help:"How long an upload may have stood still."`
}

func (cmd gcCommand) Run(ctx context.Context, c console) error {
	opts := engine.Options{Logger: newLogger(c.err, "text", slog.LevelWarn)}
	return cmd.withEngine(ctx, opts, func(e *engine.Engine) error {
		expired := []engine.Expired{}
		var rows [][]string
		err := e.ExpireUploads(ctx, time.Now().Add(-cmd.UploadExpiry), cmd.DryRun, func(x engine.Expired) {
			expired = append(expired, x)
			rows = append(rows, []string{string(x.ID), string(x.Repository), formatBytes(x.Bytes), formatTime(x.IdleSince)})
		})
		if err == nil && !cmd.DryRun {
			err = e.DoDueJobs(ctx)
		}
		if err != nil {
			return err
		}
		return cmd.print(c, expired, []string{"UPLOAD", "REPOSITORY", "SIZE", "IDLE SINCE"}, rows)
	})
}
