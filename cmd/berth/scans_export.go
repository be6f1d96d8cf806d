package main

import (
	"context"
	"errors"
	"fmt"

	"berth/registry/engine"
	"berth/scan"
	"berth/scan/export"
)

type scanExport struct {
	dataFlags    `embed:""`
	findingFlags `embed:""`
	Images       []string `arg:"" placeholder:"REPO|REPO:TAG|REPO@DIGEST" help:"The images, or of REPO all that have a tag and were scanned."`
	Format       string   `required:"" enum:"sarif,cyclonedx,inventory,json" help:"Form: sarif, which GitHub and GitLab take; cyclonedx, the inventory of one image with its vulnerabilities; inventory, without them; or json."`
	All          bool     `help:"Also vulnerabilities that an exception or a VEX document takes out, marked so."`
}

func (cmd scanExport) Run(ctx context.Context, c console) error {
	return cmd.withScans(ctx, func(e *engine.Engine, scans *scan.Service) error {
		var images []export.Image
		for _, arg := range cmd.Images {
			found, err := findImages(ctx, e, arg)
			if err != nil {
				return err
			}
			for _, i := range found {
				report, err := cmd.report(ctx, scans, i)
				if errors.Is(err, errNoFindings) && !i.sole {
					fmt.Fprintf(c.err, "berth: left out: %v\n", err)
					continue
				}
				if err != nil {
					return err
				}
				images = append(images, export.Image{Name: i.name, Report: report})
			}
		}
		return cmd.write(ctx, c, scans, images)
	})
}

// errNoFindings says that there is nothing to write about an image yet.
var errNoFindings = errors.New("there are no findings")

// report is the report of an image. One that has no findings yet must not look like one that
// has none at all.
func (cmd scanExport) report(ctx context.Context, scans scan.Scans, i imageArg) (scan.Report, error) {
	report, err := scans.Report(ctx, i.repo, i.Digest)
	if errors.Is(err, scan.ErrNotScanned) {
		return report, fmt.Errorf("%w: %w", errNoFindings, scanError(i.name, err))
	}
	if err != nil {
		return report, scanError(i.name, err)
	}
	if report.Counts == nil && cmd.Format != "inventory" {
		return report, fmt.Errorf("%w: %s is %s", errNoFindings, i.name, tellScan(report.Scan))
	}
	if !cmd.All {
		report.Excepted = nil
	}
	return report, cmd.choose(&report)
}

func (cmd scanExport) write(ctx context.Context, c console, scans scan.Scans, images []export.Image) error {
	switch cmd.Format {
	case "sarif":
		return printJSON(c, export.SARIF(images, version))
	case "json":
		all := []export.Report{}
		for _, i := range images {
			all = append(all, export.JSON(i))
		}
		return printJSON(c, all)
	}
	if len(images) != 1 {
		return fmt.Errorf("a CycloneDX document is about one image, and there are %d; name one as REPO:TAG or REPO@DIGEST", len(images))
	}
	i := images[0]
	if len(i.Platforms) > 0 {
		return fmt.Errorf("%s is an index of several images, and a CycloneDX document is about one; name one, such as %s@%s for %s",
			i.Name, i.Repository, i.Platforms[0].Digest, printable(i.Platforms[0].Platform))
	}
	inventory, err := scans.Inventory(ctx, i.Repository, i.Digest)
	if err != nil {
		return scanError(i.Name, err)
	}
	if cmd.Format == "inventory" {
		return printJSON(c, inventory)
	}
	doc, err := export.CycloneDX(inventory, i)
	if err != nil {
		return err
	}
	return printJSON(c, doc)
}
