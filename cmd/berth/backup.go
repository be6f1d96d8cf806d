package main

import (
	"context"
	"errors"
	"fmt"

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
	from, closePlace, err := cmd.openPlace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePlace()) }()
	shelf, closeShelf, err := openShelf(ctx, cmd.To)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeShelf()) }()
	b, err := transfer.Save(ctx, from, shelf, cmd.Objects, cmd.Parallel, version, progressLog(c))
	if err != nil {
		return err
	}
	if cmd.Output == "json" {
		return printJSON(c, b)
	}
	_, err = fmt.Fprintf(c.out, "%s: %s\n", b.Name, describe(b.Summary))
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
	shelf, closeShelf, err := openShelf(ctx, cmd.From)
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
	to, closePlace, err := cmd.openPlace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePlace()) }()
	b, err := transfer.Restore(ctx, cmd.Name, shelf, to, cmd.Parallel, progressLog(c))
	if err != nil {
		return err
	}
	if cmd.Output == "json" {
		return printJSON(c, b)
	}
	_, err = fmt.Fprintf(c.out, "%s is restored: %s\n", b.Name, describe(b.Summary))
	return err
}

// openShelf opens a place for backups.
func openShelf(ctx context.Context, rawURL string) (transfer.Shelf, func() error, error) {
	store, closeStore, err := dataFlags{Storage: rawURL}.openBlobs(ctx, storeOptions{})
	if err != nil {
		return nil, nil, err
	}
	shelf, ok := store.(transfer.Shelf)
	if !ok {
		return nil, nil, fmt.Errorf("%s cannot keep backups", redact(rawURL))
	}
	return shelf, func() error { return closeStore(context.WithoutCancel(ctx)) }, nil
}
