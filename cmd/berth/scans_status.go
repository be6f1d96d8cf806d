package main

import (
	"context"
	"fmt"
	"time"

	"berth/registry/engine"
	"berth/scan"
)

type scanStatus struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd scanStatus) Run(ctx context.Context, c console) error {
	return cmd.withScans(ctx, func(_ *engine.Engine, scans *scan.Service) error {
		p, err := scans.Progress(ctx)
		if err != nil {
			return err
		}
		if cmd.Output == "json" {
			return printJSON(c, p)
		}
		return cmd.tell(c, p, time.Now())
	})
}

func (cmd scanStatus) tell(c console, p scan.Progress, now time.Time) error {
	var rows [][]string
	present := map[scan.DatabaseKind]scan.Database{}
	for _, d := range p.Databases {
		present[d.Kind] = d
		rows = append(rows, []string{string(d.Kind), string(d.Digest), age(now, d.UpdatedAt), formatTime(d.ImportedAt), printable(d.Source)})
	}
	if err := cmd.print(c, nil, []string{"DATABASE", "DIGEST", "AGE", "IMPORTED", "SOURCE"}, rows); err != nil {
		return err
	}
	if _, ok := present[scan.Vulnerabilities]; !ok {
		fmt.Fprintln(c.out, "There is no vulnerability database, so that no vulnerability is found; berth scan db update fetches it, berth scan db import brings one in.")
	}
	fmt.Fprintln(c.out)
	rows = nil
	for _, w := range p.Workers {
		current := "current"
		switch digest := w.Databases[scan.Vulnerabilities]; digest {
		case "":
			current = "none"
		case present[scan.Vulnerabilities].Digest:
		default:
			current = "another"
		}
		rows = append(rows, []string{printable(w.Name), printable(w.Scanner), current, age(now, w.SeenAt) + " ago", printable(w.Trouble)})
	}
	if err := cmd.print(c, nil, []string{"SCANNER", "VERSION", "DATABASE", "SEEN", "TROUBLE"}, rows); err != nil {
		return err
	}
	if len(p.Workers) == 0 {
		fmt.Fprintln(c.out, "No scanner has asked for work in the last ten minutes. A server runs the berth-scanner that lies beside its program when it starts, or --scanner; others run elsewhere.")
	}
	fmt.Fprintf(c.out, "\nimages scanned: %d, of which %d with the present database and %d with another\n", p.Statuses[scan.Complete], p.Current, p.Outdated)
	fmt.Fprintf(c.out, "images to be scanned: %d; failed: %d; not to be scanned at all: %d\n", p.Statuses[scan.Pending], p.Statuses[scan.Failed], p.Statuses[scan.Unsupported])
	_, err := fmt.Fprintf(c.out, "jobs: %d being done, %d waiting\n", p.Scanning, p.Waiting)
	return err
}

// age is how long ago something was, roughly.
func age(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return roughly(now.Sub(t))
}

// roughly is a duration with as much of it as matters to people.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
