package main

import (
	"context"
	"fmt"
	"slices"

	"berth/registry/engine"
	"berth/scan"
	"berth/scan/export"
)

// findingFlags choose findings.
type findingFlags struct {
	Severity string `placeholder:"SEVERITY" help:"Only vulnerabilities as bad as this, or worse: CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL or UNDEFINED."`
	Fixable  bool   `help:"Only vulnerabilities for which there is a version without."`
}

// choose takes findings out of a report that were not asked for. Its counts stay.
func (f findingFlags) choose(r *scan.Report) error {
	least := scan.Undefined
	if f.Severity != "" {
		var err error
		if least, err = scan.ParseSeverity(f.Severity); err != nil {
			return err
		}
	}
	unwanted := func(x scan.Finding) bool { return !x.Severity.AtLeast(least) || f.Fixable && !x.Fixable() }
	r.Findings = slices.DeleteFunc(r.Findings, unwanted)
	r.Excepted = slices.DeleteFunc(r.Excepted, func(x scan.Excepted) bool { return unwanted(x.Finding) })
	return nil
}

type scanShow struct {
	dataFlags    `embed:""`
	outputFlag   `embed:""`
	findingFlags `embed:""`
	Image        string `arg:"" placeholder:"REPO:TAG|REPO@DIGEST" help:"The image."`
	All          bool   `help:"Also vulnerabilities that an exception or a VEX document takes out, and why."`
	FailOn       string `placeholder:"SEVERITY" help:"End with exit code 3 if something as bad as this is shown, or worse; and with 1 if the image has no findings yet."`
}

func (cmd scanShow) Run(ctx context.Context, c console) error {
	var failOn scan.Severity
	if cmd.FailOn != "" {
		var err error
		if failOn, err = scan.ParseSeverity(cmd.FailOn); err != nil {
			return fmt.Errorf("--fail-on: %w", err)
		}
	}
	return cmd.withScans(ctx, func(e *engine.Engine, scans *scan.Service) error {
		i, err := findImage(ctx, e, cmd.Image)
		if err != nil {
			return err
		}
		report, err := scans.Report(ctx, i.repo, i.Digest)
		if err != nil {
			return scanError(i.name, err)
		}
		if err := cmd.choose(&report); err != nil {
			return err
		}
		if err := cmd.tell(c, i.name, report); err != nil || failOn == "" {
			return err
		}
		return judge(i.name, report, failOn)
	})
}

// judge is what --fail-on makes of a report. What nobody has looked at is not passed.
func judge(name string, r scan.Report, failOn scan.Severity) error {
	if r.Counts == nil {
		return fmt.Errorf("whether %s has vulnerabilities is not known: %s", name, tellScan(r.Scan))
	}
	if slices.ContainsFunc(r.Findings, func(f scan.Finding) bool { return f.Severity.AtLeast(failOn) }) {
		return errTrouble
	}
	return nil
}

func (cmd scanShow) tell(c console, name string, r scan.Report) error {
	excepted := len(r.Excepted)
	if !cmd.All {
		r.Excepted = nil
	}
	if cmd.Output == "json" {
		return printJSON(c, export.JSON(export.Image{Name: name, Report: r}))
	}
	if len(r.Findings) > 0 {
		var rows [][]string
		for _, f := range r.Findings {
			rows = append(rows, append(findingRow(f), printable(f.Fixed), formatTime(f.FirstFoundAt)))
		}
		if err := cmd.print(c, nil, []string{"SEVERITY", "ID", "PACKAGE", "INSTALLED", "FIXED IN", "FIRST FOUND"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(c.out)
	}
	if len(r.Excepted) > 0 {
		var rows [][]string
		for _, x := range r.Excepted {
			until := ""
			if !x.Until.IsZero() {
				until = formatTime(x.Until)
			}
			rows = append(rows, append(findingRow(x.Finding), printable(x.Reason), printable(x.By), printable(x.Author), until))
		}
		fmt.Fprintln(c.out, "Taken out:")
		if err := cmd.print(c, nil, []string{"SEVERITY", "ID", "PACKAGE", "INSTALLED", "WHY", "BY", "AUTHOR", "UNTIL"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(c.out)
	}
	_, err := fmt.Fprintln(c.out, summarize(name, r, excepted))
	return err
}

func findingRow(f scan.Finding) []string {
	return []string{string(f.Severity), printable(f.ID), printable(f.Package.Name), printable(f.Installed)}
}

// summarize is a report in some words.
func summarize(name string, r scan.Report, excepted int) string {
	told := fmt.Sprintf("%s (%s) %s", name, r.Digest, tellScan(r.Scan))
	if r.Counts == nil {
		return told
	}
	fixable := 0
	for _, f := range r.Findings {
		if f.Fixable() {
			fixable++
		}
	}
	told += fmt.Sprintf("\nvulnerabilities: %s", tellCounts(r.Counts))
	if n := len(r.Findings); n != r.Counts.Total() {
		told += fmt.Sprintf("; %d of them shown", n)
	}
	if len(r.Findings) > 0 {
		told += fmt.Sprintf("; %d can be fixed", fixable)
	}
	if excepted > 0 {
		told += fmt.Sprintf("; %d taken out", excepted)
		if len(r.Excepted) == 0 {
			told += ", which --all shows"
		}
	}
	told += fmt.Sprintf("\nfound by %s", printable(r.Scanner))
	if r.OS != "" {
		told += " in " + printable(r.OS)
	}
	told += " at " + formatTime(r.CompletedAt)
	if !r.Database.UpdatedAt.IsZero() {
		told += " with a database of " + formatTime(r.Database.UpdatedAt)
	}
	for _, p := range r.Platforms {
		told += fmt.Sprintf("\n%s (%s) %s", printable(p.Platform), p.Digest, tellScan(p.Scan))
		if p.Counts != nil {
			told += ": " + tellCounts(p.Counts)
		}
	}
	return told
}
