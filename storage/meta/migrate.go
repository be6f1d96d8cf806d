package meta

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"strings"
	"testing/fstest"
	"text/template"
	"time"

	"github.com/pressly/goose/v3"
)

// Migrations are SQL with the few column types that differ left open, as in
// {{.ID}}. A migration that has been released is never edited.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date.
func migrate(ctx context.Context, d database, log *slog.Logger) error {
	written, err := render(d)
	if err != nil {
		return err
	}
	db, language, options, err := d.migrations()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(language, db, written, options...)
	if err != nil {
		return err
	}
	if err := db.PingContext(ctx); err != nil {
		return d.translate(err)
	}
	// Another process may be at it too, such as the command line beside a server that
	// starts. Who comes second fails, and finds nothing to do when it looks again, unless
	// others are faster at the next migration too.
	for attempt := 1; ; attempt++ {
		results, err := provider.Up(ctx)
		for _, r := range results {
			log.Info("schema migrated", "migration", r.Source.Path, "took", r.Duration)
		}
		if err == nil || attempt == 20 || ctx.Err() != nil {
			return d.translate(err)
		}
		time.Sleep(time.Duration(attempt) * 50 * time.Millisecond) // 10 s in all
	}
}

// render fills in the types of d.
func render(d dialect) (fs.FS, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	written := fstest.MapFS{}
	for _, name := range files {
		t, err := template.ParseFS(migrations, name)
		if err != nil {
			return nil, err
		}
		var sql strings.Builder
		if err := t.Execute(&sql, d.schemaTypes()); err != nil {
			return nil, err
		}
		written[strings.TrimPrefix(name, "migrations/")] = &fstest.MapFile{Data: []byte(sql.String())}
	}
	return written, nil
}
