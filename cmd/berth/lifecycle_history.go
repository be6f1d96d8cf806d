package main

import (
	"context"
	"errors"
	"strconv"

	"berth/lifecycle"
	"berth/registry"
	"berth/storage/meta"
)

// lifecycleHistory tells what policies have done.
type lifecycleHistory struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Name       string `arg:"" help:"Name of the repository; it may be gone."`
	Runs       bool   `help:"Tell of runs rather than of images."`
	Limit      int    `default:"1000" help:"How many, the latest first."`
}

func (cmd lifecycleHistory) Run(ctx context.Context, c console) error {
	name, err := parseRepository(cmd.Name)
	if err != nil {
		return err
	}
	if cmd.Limit < 1 {
		return errors.New("--limit is how many to tell of, from 1 on")
	}
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	return errors.Join(cmd.tell(ctx, c, db, name), db.Close())
}

func (cmd lifecycleHistory) tell(ctx context.Context, c console, db *meta.DB, name registry.Name) error {
	if cmd.Runs {
		runs, err := db.LifecycleRuns(ctx, name, 0, cmd.Limit)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, r := range runs {
			rows = append(rows, []string{
				strconv.FormatInt(r.ID, 10), formatTime(r.BeganAt), string(r.State), strconv.Itoa(r.Attempts), strconv.Itoa(r.Images),
				strconv.Itoa(r.Expired), strconv.Itoa(r.Archived), strconv.Itoa(r.Untagged), strconv.Itoa(r.Skipped), r.Reason,
			})
		}
		return cmd.print(c, nonNil(runs), []string{"RUN", "BEGAN", "STATE", "ATTEMPTS", "IMAGES", "EXPIRED", "ARCHIVED", "TAGS", "SKIPPED", "REASON"}, rows)
	}
	events, err := db.LifecycleEvents(ctx, name, 0, cmd.Limit)
	if err != nil {
		return err
	}
	return cmd.print(c, nonNil(events), eventHeadings, eventRows(events))
}

var eventHeadings = []string{"TIME", "RUN", "ACTION", "IMAGE", "TAGS", "WHY"}

func eventRows(events []lifecycle.Event) (rows [][]string) {
	for _, e := range events {
		rows = append(rows, []string{formatTime(e.At), strconv.FormatInt(e.Run, 10), string(e.Action), string(e.Digest), join(e.Tags), e.Why})
	}
	return rows
}
