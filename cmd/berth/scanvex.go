package main

import (
	"context"
	"errors"
	"fmt"
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
	name, err := parseRepository(cmd.Repository)
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
				return withoutHost(name, err)
			}
			n = len(found)
			for _, x := range found {
				if x.Error == "" && len(x.Statements) > 0 {
					if x.Error, err = strayVEX(ctx, db, name, x); err != nil {
						return err
					}
				}
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

// strayVEX says why a document counts for nothing although it can be read: what it is about is not
// what it refers to, as when it has another name for the image. It is empty if there is no trouble.
func strayVEX(ctx context.Context, db *meta.DB, repo registry.Name, x scan.VEXDocument) (string, error) {
	if x.IsAbout(repo, x.Subject) {
		return "", nil
	}
	_, related, err := db.VEX(ctx, repo, x.Subject, false) // the indexes that list it
	if err != nil {
		return "", err
	}
	m, err := db.ArchivedManifest(ctx, repo, x.Subject)
	if err != nil && !errors.Is(err, registry.ErrManifestUnknown) {
		return "", err
	}
	if err == nil {
		index, err := registry.ParseManifest(m.MediaType, m.Bytes)
		if err != nil {
			return "", err
		}
		for _, child := range index.Manifests {
			related = append(related, child.Digest)
		}
	}
	if x.IsAbout(repo, x.Subject, related...) {
		return "", nil
	}
	why := "none of its products is the image that it refers to"
	for _, s := range x.Statements {
		for _, p := range s.Products {
			if len(p.Names) > 0 {
				return fmt.Sprintf("%s: they are called %q, say", why, registry.Clip(p.Names[0])), nil
			}
		}
	}
	return why, nil
}
