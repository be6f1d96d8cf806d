package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"berth/registry"
	"berth/storage/meta"
	"berth/storage/transfer"
)

// migrateCommand takes a registry to another database and store.
type migrateCommand struct {
	From     []string `required:"" sep:"none" placeholder:"DIR|URL" help:"Where the registry is: its data folder, or a database and a storage as serve has them."`
	To       []string `required:"" sep:"none" placeholder:"DIR|URL" help:"Where it goes, in the same words. The database there has to be empty."`
	Parallel int      `default:"8" help:"Objects that are copied at once."`

	outputFlag `embed:""`
}

func (cmd migrateCommand) Run(ctx context.Context, c console) (err error) {
	from, err := parsePlace("--from", cmd.From)
	if err != nil {
		return err
	}
	to, err := parsePlace("--to", cmd.To)
	if err != nil {
		return err
	}
	if from.database() == to.database() {
		return errors.New("--from and --to name the same database")
	}
	if err := from.exists(); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	if from.Data != "" && served(from.Data) {
		fmt.Fprintf(c.err, "A server runs on %s. Unless it is read-only (berth serve --read-only), what it is given from now on stays behind.\n", from.Data)
	}
	source, closeSource, err := from.openPlace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	destination, closeDestination, err := to.openPlace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDestination()) }()

	summary, err := transfer.Move(ctx, source, destination, cmd.Parallel, progressLog(c))
	if errors.Is(err, registry.ErrNotEmpty) {
		return fmt.Errorf("--to: %w; if an earlier run has ended, the registry is there: rows come last, and all or none", err)
	}
	if err != nil {
		return hint(err, "berth fsck --deep --repair lists them and marks them as lost, and then the others can be copied")
	}
	if cmd.Output == "json" {
		return printJSON(c, summary)
	}
	_, err = fmt.Fprintf(c.out, "%s\nThe registry is at the destination. Serve it with\n  --database '%s' --storage '%s'\n",
		describe(summary), redact(to.database()), redact(to.storage()))
	return err
}

// parsePlace understands a data folder, or URLs of a database and a storage.
func parsePlace(flag string, words []string) (dataFlags, error) {
	var f dataFlags
	for _, word := range words {
		field := &f.Data
		switch scheme, _, found := strings.Cut(word, ":"); {
		case found && slices.Contains([]string{"sqlite", "postgres", "postgresql"}, scheme):
			field = &f.Database
		case found && slices.Contains([]string{"fs", "s3"}, scheme):
			field = &f.Storage
		}
		if *field != "" {
			return f, fmt.Errorf("%s: %s is one too many; give a data folder, or a database and a storage", flag, redact(word))
		}
		*field = word
	}
	if f.Data == "" && (f.Database == "" || f.Storage == "") {
		return f, fmt.Errorf("%s: give a data folder, or both a database and a storage", flag)
	}
	return f, nil
}

// openPlace opens what a transfer works on.
func (f dataFlags) openPlace(ctx context.Context) (transfer.Place, func() error, error) {
	if f.local() && f.Data != "" {
		if err := os.MkdirAll(f.Data, 0o700); err != nil {
			return transfer.Place{}, nil, err
		}
	}
	db, err := meta.Open(ctx, f.database(), meta.Options{Connections: 4})
	if err != nil {
		return transfer.Place{}, nil, err
	}
	blobs, closeBlobs, err := f.openBlobs(ctx, storeOptions{})
	if err != nil {
		return transfer.Place{}, nil, errors.Join(err, db.Close())
	}
	closeAll := func() error { return errors.Join(closeBlobs(context.WithoutCancel(ctx)), db.Close()) }
	return transfer.Place{Database: db, Blobs: blobs}, closeAll, nil
}

// progressLog tells a person how far something long has come.
func progressLog(c console) *slog.Logger {
	return slog.New(slog.NewTextHandler(c.err, nil))
}

// hint says what to do about blobs that could not be copied.
func hint(err error, advice string) error {
	var lost *transfer.LostError
	if errors.As(err, &lost) {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

func describe(s transfer.Summary) string {
	return fmt.Sprintf("%d objects, %d of them copied now (%s); %s", s.Objects, s.Copied, formatBytes(s.Bytes), describeRows(s))
}

func describeRows(s transfer.Summary) string {
	var rows int64
	for _, n := range s.Rows {
		rows += n
	}
	return fmt.Sprintf("%d rows: %d repositories, %d manifests, %d tags",
		rows, s.Rows["repositories"], s.Rows["manifests"], s.Rows["tags"])
}
