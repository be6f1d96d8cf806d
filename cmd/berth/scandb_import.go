package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
	"berth/scan/database"
	"berth/storage/meta"
)

type scanDBImport struct {
	dataFlags      `embed:""`
	databasePlaces `embed:""`
	outputFlag     `embed:""`

	From           string `arg:"" optional:"" placeholder:"FILE|REF" help:"An OCI layout or a tar of one, db.tar.gz or javadb.tar.gz, a folder with trivy.db and metadata.json such as Trivy's cache; or a reference such as ghcr.io/aquasecurity/trivy-db:2."`
	FromRepository string `placeholder:"REPO:TAG" help:"Take what was pushed to a repository of this registry, as with oras; REPO@DIGEST works too."`
	Force          bool   `help:"Take it even if it is older than the present one, or the same."`
}

func (cmd scanDBImport) Run(ctx context.Context, c console) error {
	if (cmd.From == "") == (cmd.FromRepository == "") {
		return errors.New("say where the database is: a file or folder, a reference, or --from-repository REPO:TAG")
	}
	return cmd.withImporter(ctx, c, cmd.databasePlaces, func(ctx context.Context, i *database.Importer, _ *meta.DB, audit auditLog) error {
		found, err := cmd.find(ctx, i.Registry)
		if err != nil {
			return err
		}
		results := []database.Result{}
		for _, a := range found {
			r, err := i.Import(ctx, a, cmd.Force)
			if errors.Is(err, scan.ErrDatabaseOlder) {
				err = fmt.Errorf("%w; --force takes it all the same", err)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", a.Source, err)
			}
			imported(ctx, audit, r)
			results = append(results, r)
		}
		return cmd.tell(c, results)
	})
}

// find are the databases in the place that was named.
func (cmd scanDBImport) find(ctx context.Context, reg registry.Reader) ([]database.Artifact, error) {
	if cmd.FromRepository != "" {
		name, ref, err := parseImage(cmd.FromRepository)
		if err != nil {
			return nil, err
		}
		if ref == (registry.Reference{}) {
			return nil, errors.New("--from-repository: say which database, as REPO:TAG or REPO@DIGEST")
		}
		a, err := database.In(ctx, reg, name, ref)
		return []database.Artifact{a}, err
	}
	_, missing := os.Stat(cmd.From)
	if missing == nil {
		return database.Open(ctx, cmd.From)
	}
	upstream, err := database.ParseReference(cmd.From, userAgent())
	if err != nil {
		return nil, fmt.Errorf("there is no such file (%w), and %w", missing, err)
	}
	a, err := upstream.Artifact(ctx)
	return []database.Artifact{a}, err
}

// withImporter calls do with what brings databases in, beside a server or without one.
func (f dataFlags) withImporter(ctx context.Context, c console, places databasePlaces,
	do func(context.Context, *database.Importer, *meta.DB, auditLog) error,
) error {
	audit, err := f.audit(c)
	if err != nil {
		return err
	}
	db, err := f.openDatabase(ctx)
	if err != nil {
		return err
	}
	blobs, closeBlobs, err := f.openBlobs(ctx, storeOptions{})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	log := newLogger(c.err, "text", slog.LevelWarn)
	i, err := places.importer(engine.New(db, blobs, engine.Options{Logger: log}), db, log)
	if err == nil {
		err = do(registry.WithCause(ctx, registry.Cause{By: audit.who}), i, db, audit)
	}
	return errors.Join(err, closeBlobs(context.WithoutCancel(ctx)), db.Close())
}

// imported tells of a database that has changed.
func imported(ctx context.Context, audit auditLog, r database.Result) {
	if r.Changed {
		audit.image(ctx, "ImportVulnerabilityDatabase", r.Repository, []registry.ImageID{{Digest: r.Digest}})
	}
}

// tell says what became of imports.
func (f outputFlag) tell(c console, results []database.Result) error {
	if f.Output == "json" {
		return printJSON(c, results)
	}
	for _, r := range results {
		outcome := "is what images are scanned with from now on"
		if !r.Changed {
			outcome = "was there before; nothing changes"
		}
		if _, err := fmt.Fprintf(c.out, "the %s made at %s (%s@%s) %s\n", database.Name(r.Kind), formatTime(r.UpdatedAt), r.Repository, r.Digest, outcome); err != nil {
			return err
		}
	}
	return nil
}
