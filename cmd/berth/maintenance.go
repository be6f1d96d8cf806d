package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"berth/registry/engine"
)

// fsckCommand compares rows with objects.
type fsckCommand struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Deep       bool     `help:"Also read every blob and compare it with its digest."`
	Repair     bool     `help:"Mark blobs whose objects are missing, and with --deep damaged, as lost, so that the next push replaces them. Count anew how much room is taken if that is wrong."`
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
		if err == nil && (summary.Losses > 0 || summary.Miscounts > 0) {
			err = errTrouble
		}
		return err
	})
}

// scrubCommand tells of scrubs, which servers do by themselves.
type scrubCommand struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd scrubCommand) Run(ctx context.Context, c console) error {
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		s, err := e.ScrubState(ctx)
		if err != nil {
			return err
		}
		ended := formatTime(s.Ended)
		if s.Ended.IsZero() && !s.Began.IsZero() {
			ended = "under way"
		}
		return cmd.print(c, s, []string{"BEGAN", "ENDED", "BLOBS", "SIZE", "LOSSES"}, [][]string{{
			formatTime(s.Began), ended, strconv.Itoa(s.Blobs), formatBytes(s.Bytes), strconv.Itoa(s.Losses),
		}})
	})
}
