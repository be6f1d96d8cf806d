package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"berth/registry"
	"berth/storage/transfer"
)

// backupCommand keeps what the registry knows in a file.
type backupCommand struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`

	To       string        `placeholder:"fs:DIR|s3://…" help:"Where backups are kept."`
	Objects  bool          `help:"Keep the objects of blobs there too, those that it has not got yet. Without them a backup is of use only as long as --storage lasts."`
	Hold     time.Duration `default:"720h" help:"Without --objects: how long --storage keeps the objects that the backup needs, whatever is deleted meanwhile; 0 for until --release."`
	Parallel int           `default:"8" help:"Objects that are copied at once."`

	List    bool   `help:"Only list the backups in --to, and until when the registry keeps objects for which of them."`
	Release string `placeholder:"NAME" help:"Only have the registry keep no objects any more for this backup, as when it has been removed."`
}

func (cmd backupCommand) Run(ctx context.Context, c console) (err error) {
	switch {
	case cmd.List && cmd.Release != "":
		return errors.New("give --list or --release, not both")
	case cmd.To == "" && !cmd.List && cmd.Release == "":
		return errors.New("say with --to where the backup is to be kept")
	case cmd.Hold < 0:
		return fmt.Errorf("--hold must not be less than zero, as %s is", cmd.Hold)
	}
	if err := cmd.mustExist(); err != nil {
		return err
	}
	if cmd.Objects && sameStorage(cmd.To, cmd.storage()) {
		return errors.New("--to is where the registry itself keeps its objects; a copy of them has to lie elsewhere")
	}
	if cmd.Release != "" {
		return cmd.release(ctx, c)
	}
	if cmd.List {
		return cmd.list(ctx, c)
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
	b, err := transfer.Save(ctx, from, shelf, transfer.Saving{
		Objects: cmd.Objects, Hold: cmd.Hold, Parallel: cmd.Parallel, By: version,
	}, progressLog(c))
	if err != nil {
		return hint(err, "berth fsck --deep --repair lists them and marks them as lost, and then the others can be copied")
	}
	if cmd.Output == "json" {
		return printJSON(c, b)
	}
	done := describe(b.Summary)
	if !cmd.Objects {
		done = describeRows(b.Summary) + "; the objects of blobs stay where they are, until " + heldUntil(b.HeldUntil) + " at least"
	}
	_, err = fmt.Fprintf(c.out, "%s: %s\n", b.Name, done)
	return err
}

func heldUntil(t *time.Time) string {
	if t == nil {
		return "it is released"
	}
	return formatTime(*t)
}

func (cmd backupCommand) release(ctx context.Context, c console) (err error) {
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.ReleaseHold(ctx, cmd.Release); err != nil {
		return fmt.Errorf("%s: %w; berth backup --list tells which there are", cmd.Release, err)
	}
	_, err = fmt.Fprintf(c.out, "%s is released: what the registry has deleted since can go\n", cmd.Release)
	return err
}

// listedBackup is a backup, a hold, or, as it should be without --objects, both.
type listedBackup struct {
	Name      string     `json:"name"`
	There     bool       `json:"there"` // in --to
	Held      bool       `json:"held"`
	HeldUntil *time.Time `json:"heldUntil,omitempty"` // nil: until it is released
}

func (l listedBackup) row() []string {
	there, held := "no", "not held"
	if l.There {
		there = "yes"
	}
	if l.Held {
		held = heldUntil(l.HeldUntil)
	}
	return []string{l.Name, there, held}
}

// list joins what is on the shelf with what is held.
func (cmd backupCommand) list(ctx context.Context, c console) (err error) {
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	holds, err := db.Holds(ctx)
	if err != nil {
		return err
	}
	byName := map[string]listedBackup{}
	for _, h := range holds {
		l := listedBackup{Name: h.Name, Held: true}
		if !h.ExpiresAt.IsZero() {
			l.HeldUntil = &h.ExpiresAt
		}
		byName[h.Name] = l
	}
	if cmd.To != "" {
		names, err := shelved(ctx, "--to", cmd.To)
		if err != nil {
			return err
		}
		for _, name := range names {
			l := byName[name]
			l.Name, l.There = name, true
			byName[name] = l
		}
	}
	listed, rows := []listedBackup{}, [][]string{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		listed = append(listed, byName[name])
		rows = append(rows, byName[name].row())
	}
	return cmd.print(c, listed, []string{"NAME", "THERE", "OBJECTS STAY UNTIL"}, rows)
}

// shelved are the names of the backups in the place that a flag names.
func shelved(ctx context.Context, flag, rawURL string) (names []string, err error) {
	if err := shelfExists(flag, rawURL); err != nil {
		return nil, err
	}
	shelf, closeShelf, err := openShelf(ctx, flag, rawURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeShelf()) }()
	return transfer.Backups(ctx, shelf)
}

// shelfExists keeps a mistyped folder from being made.
func shelfExists(flag, rawURL string) error {
	if dir, ok := strings.CutPrefix(rawURL, "fs:"); ok {
		if _, err := os.Stat(dir); err != nil {
			return fmt.Errorf("%s: there is no folder %s (%w)", flag, dir, err)
		}
	}
	return nil
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
	if err := shelfExists("--from", cmd.From); err != nil {
		return err
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
	if errors.Is(err, registry.ErrNotEmpty) {
		return fmt.Errorf("%w; a backup is restored where there is no registry yet, and no server has been started", err)
	}
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
