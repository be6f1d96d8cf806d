package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"berth/registry"
	"berth/storage/gc"
)

type gcExplain struct {
	dataFlags   `embed:""`
	graceOfFlag `embed:""`
	outputFlag  `embed:""`
	Digest      string `arg:"" help:"Digest of a blob or an image."`
}

func (cmd gcExplain) Run(ctx context.Context, c console) error {
	d, err := registry.ParseDigest(cmd.Digest)
	if err != nil {
		return err
	}
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	const most = 20
	x, err := db.ExplainGarbage(ctx, d, most)
	grace, graceErr := cmd.grace(ctx, db)
	if err := errors.Join(err, graceErr, db.Close()); err != nil {
		return err
	}
	if cmd.Output == "json" {
		return printJSON(c, x)
	}
	for _, line := range explain(x, grace) {
		fmt.Fprintln(c.out, line)
	}
	return nil
}

// explain says in words what x has.
func explain(x gc.Explanation, grace time.Duration) (lines []string) {
	for _, h := range x.Manifests {
		line := fmt.Sprintf("an image of %s", h.Repository)
		if len(h.Tags) > 0 {
			line += fmt.Sprintf(" with the tags %s", join(h.Tags))
		}
		if len(h.NamedBy) > 0 {
			line += fmt.Sprintf(", which the index %s lists", join(h.NamedBy))
		}
		lines = append(lines, line+": it stays until it is deleted, or a lifecycle policy expires it")
	}
	for _, h := range x.Deleted {
		line := fmt.Sprintf("an image that was deleted from %s", h.Repository)
		if len(h.Tags) > 0 {
			line += fmt.Sprintf(" with the tags %s", join(h.Tags))
		}
		lines = append(lines, line+fmt.Sprintf(" at %s: until %s berth image restore %s@%s brings it back",
			formatTime(h.DeletedAt), formatTime(h.DeletedAt.Add(grace)), h.Repository, x.Digest))
	}
	if x.Blob {
		lines = append(lines, fmt.Sprintf("a blob of %s", formatBytes(x.Size)))
	}
	if x.Lost {
		lines = append(lines, "its object is missing or damaged; the next push of the same bytes replaces it")
	}
	for _, h := range x.Holders {
		if h.Unreferenced.IsZero() {
			lines = append(lines, fmt.Sprintf("%s needs it: %s", h.Repository, join(h.NamedBy)))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s has it until %s: no image there has named it since %s",
			h.Repository, formatTime(h.Unreferenced.Add(grace)), formatTime(h.Unreferenced)))
	}
	switch {
	case !x.Blob && len(x.Manifests) == 0 && len(x.Deleted) == 0:
		lines = append(lines, "the registry has no blob and no image of this digest")
	case x.Blob && len(x.Holders) == 0:
		lines = append(lines, fmt.Sprintf("no repository has it; it goes at %s", formatTime(x.UnseenSince.Add(grace))))
	case x.More:
		lines = append(lines, "and so on")
	}
	return lines
}
