package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"berth/storage/transfer"
)

// backupCommand keeps what the registry knows in a file.
type backupCommand struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`

	To       string `required:"" placeholder:"fs:DIR|s3://…" help:"Where backups are kept."`
	Objects  bool   `help:"Keep the objects of blobs there too, those that it has not got yet. Without them a backup is of use only as long as --storage lasts."`
	Parallel int    `default:"8" help:"Objects that are copied at once."`
}

func (cmd backupCommand) Run(ctx context.Context, c console) (err error) {
	if err := cmd.mustExist(); err != nil {
		return err
	}
	if cmd.Objects && sameStorage(cmd.To, cmd.storage()) {
		return errors.New("--to is where the registry itself keeps its objects; a copy of them has to lie elsewhere")
	}
	from, closePlace, err := cmd.openPlace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePlace()) }()
	shelf, closeShelf, err := openShelf(ctx, "--to", cmd.To)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeShelf()) }()
	b, err := transfer.Save(ctx, from, shelf, cmd.Objects, cmd.Parallel, version, progressLog(c))
	if err != nil {
		return hint(err, "berth fsck --deep lists them")
	}
	if cmd.Output == "json" {
		return printJSON(c, b)
	}
	done := describe(b.Summary)
	if !cmd.Objects {
		done = describeRows(b.Summary) + "; the objects of blobs stay where they are"
	}
	_, err = fmt.Fprintf(c.out, "%s: %s\n", b.Name, done)
	return err
}

// restoreCommand makes a registry of a backup.
type restoreCommand struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`

	From     string `required:"" placeholder:"fs:DIR|s3://…" help:"Where backups are kept."`
	Name     string `placeholder:"NAME" help:"Which backup; the newest if not given."`
	List     bool   `help:"Only list the backups that are there."`
	Parallel int    `default:"8" help:"Objects that are copied at once."`
}

func (cmd restoreCommand) Run(ctx context.Context, c console) (err error) {
	if dir, ok := strings.CutPrefix(cmd.From, "fs:"); ok {
		if _, err := os.Stat(dir); err != nil { // to open it would make it
			return fmt.Errorf("--from: there is no folder %s (%w)", dir, err)
		}
	}
	shelf, closeShelf, err := openShelf(ctx, "--from", cmd.From)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeShelf()) }()
	names, err := transfer.Backups(ctx, shelf)
	if err != nil {
		return err
	}
	if cmd.List {
		rows := make([][]string, len(names))
		for i, name := range names {
			rows[i] = []string{name}
		}
		return cmd.print(c, names, []string{"NAME"}, rows)
	}
	if cmd.Name == "" {
		if len(names) == 0 {
			return fmt.Errorf("there are no backups in %s", redact(cmd.From))
		}
		cmd.Name = names[len(names)-1]
	}
	if !slices.Contains(names, cmd.Name) {
		return fmt.Errorf("there is no backup %s; berth restore --list tells which there are", cmd.Name)
	}
	to, closePlace, err := cmd.openPlace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePlace()) }()
	b, err := transfer.Restore(ctx, cmd.Name, shelf, to, cmd.Parallel, progressLog(c))
	if err != nil {
		return hint(err, "a backup without --objects is restored with the --storage that it was made of")
	}
	if cmd.Output == "json" {
		return printJSON(c, b)
	}
	_, err = fmt.Fprintf(c.out, "%s is restored: %s\n", b.Name, describe(b.Summary))
	return err
}

// openShelf opens the place for backups that a flag names.
func openShelf(ctx context.Context, flag, rawURL string) (transfer.Shelf, func() error, error) {
	if scheme, _, _ := strings.Cut(rawURL, ":"); scheme != "fs" && scheme != "s3" {
		return nil, nil, fmt.Errorf("%s: %q: it should be fs:DIR or s3://BUCKET/PREFIX", flag, redact(rawURL))
	}
	store, closeStore, err := dataFlags{Storage: rawURL}.openBlobs(ctx, storeOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", flag, err)
	}
	shelf, ok := store.(transfer.Shelf)
	if !ok {
		return nil, nil, fmt.Errorf("%s cannot keep backups", redact(rawURL))
	}
	return shelf, func() error { return closeStore(context.WithoutCancel(ctx)) }, nil
}
