package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"berth/scan"
	"berth/scan/database"
	"berth/storage/meta"
)

type scanDBUpdate struct {
	dataFlags       `embed:""`
	databasePlaces  `embed:""`
	databaseSources `embed:""`
	outputFlag      `embed:""`
}

// Run asks for all databases even if one of them fails.
func (cmd scanDBUpdate) Run(ctx context.Context, c console) error {
	references, err := cmd.references()
	if err != nil {
		return err
	}
	if len(references) == 0 {
		return errors.New("--scan-db and --scan-java-db are off; berth scan db import brings in a database from elsewhere")
	}
	return cmd.withImporter(ctx, c, cmd.databasePlaces, func(ctx context.Context, i *database.Importer, db *meta.DB, audit auditLog) error {
		updater := database.NewUpdater(i, db, database.UpdaterOptions{
			References: references, UserAgent: userAgent(), Logger: newLogger(c.err, "text", slog.LevelInfo),
		})
		results := []database.Result{}
		var failed error
		for _, kind := range []scan.DatabaseKind{scan.Vulnerabilities, scan.Java} {
			if references[kind] == "" {
				continue
			}
			r, err := updater.Update(ctx, kind)
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("the %s could not be fetched: %w", database.Name(kind), err))
				continue
			}
			imported(ctx, audit, r)
			results = append(results, r)
		}
		return errors.Join(cmd.tell(c, results), failed)
	})
}
