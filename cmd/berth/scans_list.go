package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
)

type scanList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Repository string `arg:"" optional:"" help:"Name of the repository; without it all."`
}

// listedScan is what programs are told of an image that was scanned.
type listedScan struct {
	Tags []registry.Tag `json:"tags"`
	ranScan
	DatabaseAt time.Time `json:"databaseUpdatedAt,omitzero"`
}

func (cmd scanList) Run(ctx context.Context, c console) error {
	return cmd.withScans(ctx, func(e *engine.Engine, scans *scan.Service) error {
		listed := []listedScan{}
		add := func(repo registry.Name) error {
			some, err := scansOf(ctx, e, scans, repo)
			listed = append(listed, some...)
			return err
		}
		if cmd.Repository != "" {
			name, err := parseRepository(cmd.Repository)
			if err == nil {
				err = withoutHost(name, add(name))
			}
			if err != nil {
				return err
			}
			return cmd.tell(c, listed)
		}
		for name, err := range allRepositories(ctx, e) {
			if err != nil {
				return err
			}
			if err := add(name); err != nil && !errors.Is(err, registry.ErrNameUnknown) { // deleted since it was listed
				return err
			}
		}
		return cmd.tell(c, listed)
	})
}

// scansOf lists the images of a repository that were scanned or are to be. What refers to an
// image and is none, such as a signature, is left out.
func scansOf(ctx context.Context, e *engine.Engine, scans scan.Scans, repo registry.Name) (listed []listedScan, err error) {
	q := registry.ImagesQuery{Limit: 1000}
	for more := true; more; {
		var page []registry.Image
		if page, more, err = e.Images(ctx, repo, q); err != nil {
			return listed, err
		}
		var digests []digest.Digest
		for _, i := range page {
			q.Last.Digest = i.Digest
			digests = append(digests, i.Digest)
		}
		found, err := scans.Scans(ctx, repo, digests)
		if err != nil {
			return listed, err
		}
		for _, i := range page {
			if s, ok := found[i.Digest]; ok && (s.Status != scan.Unsupported || i.Subject == "") {
				listed = append(listed, listedScan{append([]registry.Tag{}, i.Tags...), newRanScan(s), s.Database.UpdatedAt})
			}
		}
	}
	return listed, nil
}

func (cmd scanList) tell(c console, listed []listedScan) error {
	headings := []string{"REPOSITORY", "DIGEST", "TAGS", "STATUS", "CRITICAL", "HIGH", "MEDIUM", "LOW", "OTHER", "SCANNED"}
	var rows [][]string
	for _, l := range listed {
		row := []string{string(l.Repository), string(l.Digest), join(l.Tags), string(l.Status)}
		other := l.Counts.Total()
		for _, s := range []scan.Severity{scan.Critical, scan.High, scan.Medium, scan.Low} {
			row = append(row, countCell(l.Counts, l.Counts[s]))
			other -= l.Counts[s]
		}
		rows = append(rows, append(row, countCell(l.Counts, other), formatTime(l.CompletedAt)))
	}
	return cmd.print(c, listed, headings, rows)
}

// countCell is a number of findings, or nothing as long as that is not known.
func countCell(counts scan.Counts, n int) string {
	if counts == nil {
		return ""
	}
	return strconv.Itoa(n)
}
