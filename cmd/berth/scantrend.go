package main

import (
	"context"
	"fmt"
	"time"

	"berth/scan"
	"berth/storage/meta"
)

type scanTrend struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Repository string `arg:"" help:"Name of the repository. Of its images those count that were tagged last, 20 of them."`
	Days       int    `default:"30" help:"How many days to list, the last of them today (UTC)."`
}

func (cmd scanTrend) Run(ctx context.Context, c console) error {
	name, err := parseRepository(cmd.Repository)
	if err != nil {
		return err
	}
	const most = 3660
	if cmd.Days < 1 || cmd.Days > most {
		return fmt.Errorf("--days %d: it should be a number from 1 to %d", cmd.Days, most)
	}
	return cmd.withDatabase(ctx, func(db *meta.DB) error {
		last := scan.TrendDay(time.Now())
		first := last.AddDate(0, 0, 1-cmd.Days)
		kept, err := db.Trend(ctx, name, first)
		if err != nil {
			return withoutHost(name, err)
		}
		listed := scan.FillTrend(kept, first, last)
		if len(listed) == 0 {
			fmt.Fprintf(c.err, "berth: nothing is known of %s in these days; a server counts once an hour what was found in images with a tag\n", name)
		}
		var rows [][]string
		for _, t := range listed {
			rows = append(rows, []string{t.Day.Format(time.DateOnly), tellCounts(t.Open), tellCounts(t.New), tellCounts(t.Fixed)})
		}
		return cmd.print(c, append([]scan.Trend{}, listed...), []string{"DAY", "OPEN", "NEW", "FIXED"}, rows)
	})
}
