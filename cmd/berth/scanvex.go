package main

import (
	"context"
	"strconv"

	"berth/registry"
	"berth/scan"
	"berth/storage/meta"
)

// scanVEXCommand is about VEX documents.
type scanVEXCommand struct {
	List scanVEXList `cmd:"" help:"List the VEX documents of a repository, and why some of them count for nothing."`
}

type scanVEXList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Repository string `arg:"" help:"Name of the repository."`
}

func (cmd scanVEXList) Run(ctx context.Context, c console) error {
	name, err := registry.ParseName(cmd.Repository)
	if err != nil {
		return err
	}
	return cmd.withDatabase(ctx, func(db *meta.DB) error {
		listed := []scan.VEXDocument{}
		var rows [][]string
		const page = 100 // one may have megabytes of statements
		for n := page; n == page; {
			var last scan.VEXDocument
			if len(listed) > 0 {
				last = listed[len(listed)-1]
			}
			found, err := db.VEXDocuments(ctx, name, last, page)
			if err != nil {
				return err
			}
			n = len(found)
			for _, x := range found {
				rows = append(rows, []string{
					string(x.Digest), string(x.Subject), x.Format, x.Author, formatTime(x.IssuedAt), strconv.Itoa(len(x.Statements)), x.Error,
				})
				if cmd.Output != "json" {
					x.Statements = nil
				}
				listed = append(listed, x)
			}
		}
		return cmd.print(c, listed, []string{"DIGEST", "IMAGE", "FORMAT", "AUTHOR", "ISSUED", "STATEMENTS", "TROUBLE"}, rows)
	})
}
