package meta

import (
	"context"
	"database/sql"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/opencontainers/go-digest"
	"github.com/pressly/goose/v3"
)

// Queries are the texts of the statements that db has run so far.
func Queries(db *DB) []string {
	var texts []*sync.Map
	switch d := db.database.(type) {
	case *sqliteDatabase:
		texts = append(texts, &d.statements.kept, &d.writer.run.kept)
	case *postgresDatabase:
		texts = append(texts, &d.texts)
	}
	all := map[string]bool{}
	for _, t := range texts {
		t.Range(func(query, _ any) bool {
			all[query.(string)] = true
			return true
		})
	}
	return slices.Sorted(maps.Keys(all))
}

// Plan is how the database goes about a query, a line for each step.
func Plan(ctx context.Context, db *DB, query string) ([]string, error) {
	if d, ok := db.database.(*postgresDatabase); ok {
		return d.plan(ctx, query)
	}
	args := make([]any, strings.Count(query, "?"))
	rows, err := db.database.(*sqliteDatabase).reads.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		return nil, err
	}
	var steps []string
	err = walk(rows, nil, func(rows *sql.Rows) error {
		var id, parent, unused int
		var step string
		err := rows.Scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	})
	return steps, err
}

// plan is made for any arguments, as statements that were prepared have it, and looks at
// a whole table or sorts only if there is no other way: the tables of tests are so small
// that it would be the best.
func (db *postgresDatabase) plan(ctx context.Context, query string) ([]string, error) {
	tx, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	args := strings.TrimSuffix("("+strings.Repeat("NULL,", strings.Count(query, "?")), ",") + ")"
	if args == "()" {
		args = ""
	}
	for _, s := range []string{
		"SET LOCAL enable_seqscan = off", "SET LOCAL enable_sort = off", "SET LOCAL enable_bitmapscan = off",
		"SET LOCAL plan_cache_mode = force_generic_plan",
		"PREPARE planned AS " + db.rebind(query),
	} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return nil, err
		}
	}
	var steps []string
	rows, err := tx.QueryContext(ctx, "EXPLAIN (COSTS off) EXECUTE planned "+args, pgx.QueryExecModeSimpleProtocol)
	err = walk(rows, err, func(rows *sql.Rows) error {
		var step string
		err := rows.Scan(&step)
		steps = append(steps, step)
		return err
	})
	if err == nil {
		_, err = tx.ExecContext(ctx, "DEALLOCATE planned")
	}
	return steps, err
}

// Migrate makes migrations of a test as those of berth are made.
func Migrate(ctx context.Context, db *DB, written fs.FS) error {
	pool, language, options, err := db.database.migrations()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(language, pool, written, append(options, goose.WithTableName("test_version"))...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Version is that of the schema.
func Version(ctx context.Context, db *DB) (version int64, err error) {
	err = db.run.get(ctx, `SELECT max(version_id) FROM goose_db_version`, nil, &version)
	return version, err
}

// StatementTimeout is that of some connection to PostgreSQL.
func StatementTimeout(ctx context.Context, db *DB) (limit string, err error) {
	err = db.run.get(ctx, `SELECT current_setting('statement_timeout')`, nil, &limit)
	return limit, err
}

// NotCopied are the tables that a copy leaves behind.
func NotCopied() []string { return notCopied }

// Schema lists the columns of all tables, each sorted.
func Schema(ctx context.Context, db *DB) (map[string][]string, error) {
	query := `SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, 2`
	if db.Shared() {
		query = `SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2`
	}
	all := map[string][]string{}
	err := db.run.query(ctx, func(rows *sql.Rows) error {
		var table, column string
		err := rows.Scan(&table, &column)
		all[table] = append(all[table], column)
		return err
	}, query)
	for _, list := range all {
		slices.Sort(list)
	}
	return all, err
}

// FillJobs adds jobs that cannot be leased as yet: n that wait, n that have failed, and
// n of another kind.
func FillJobs(ctx context.Context, db *DB, n int) error {
	return db.Update(ctx, func(tx *Tx) error {
		for _, job := range []string{"'k', 'waiting', 1000000000000000000", "'k', 'failed', 0", "'other', 'waiting', 0"} {
			_, err := tx.exec(ctx, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
				INSERT INTO jobs (kind, state, due_at, payload, attempts, reason, created_at)
				SELECT `+job+`, 'null', 0, '', 0 FROM numbers`, n)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// ExpireLeases lets the time pass that the leases there are have left.
func ExpireLeases(ctx context.Context, db *DB) error {
	return db.Update(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE leases SET expires_at = 0`)
		return err
	})
}

// AddCandidate notes that no repository sees a blob any more, and holds on to that.
func (tx *Tx) AddCandidate(ctx context.Context, d digest.Digest, since time.Time) error {
	return tx.addCandidate(ctx, string(d), micros(since))
}

// DropScan forgets that somebody wanted an image to be scanned.
func (tx *Tx) DropScan(ctx context.Context, r Repository, d digest.Digest) error {
	return tx.dropScan(ctx, r, d)
}

// Disturb spoils all that is counted.
func Disturb(ctx context.Context, db *DB) error {
	return db.Update(ctx, func(tx *Tx) error {
		for _, statement := range []string{
			`UPDATE storage_usage SET unique_bytes = unique_bytes + 1, shared_bytes = shared_bytes + 1 WHERE slot = 0 OR repository_id <> 0`,
			`INSERT INTO storage_usage (repository_id, slot, unique_bytes, shared_bytes, quotas) VALUES (12345, 0, 1, 1, 0)`,
			`UPDATE quota_usage SET used_bytes = used_bytes + 1`,
			`UPDATE quota_blobs SET links = links + 1`,
		} {
			if _, err := tx.exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// Uncount takes the schema back to before bytes were counted, and with it what has come since.
func Uncount(ctx context.Context, db *DB) error {
	return db.Update(ctx, func(tx *Tx) error {
		for _, statement := range []string{
			`DROP TABLE scan_exceptions`, `DROP TABLE scan_gates`, `DROP TABLE vex_documents`, `DROP TABLE scan_trends`,
			`DROP TABLE scan_trend_states`, `DELETE FROM generations WHERE name = 'scan rules'`,
			`DROP TABLE scans`, `DROP TABLE scan_reports`, `DROP TABLE scan_inventories`, `DROP TABLE scan_findings`,
			`DROP TABLE scan_layers`, `DROP TABLE scan_workers`, `DROP TABLE vulnerability_databases`, `DROP INDEX jobs_leased`,
			`DROP TABLE running_images`, `DROP TABLE clusters`,
			`DROP TABLE storage_usage`, `DROP TABLE quotas`, `DROP TABLE quota_usage`, `DROP TABLE quota_blobs`,
			`DROP TABLE database_updates`,
			`DELETE FROM generations WHERE name = 'quotas'`,
			`DELETE FROM goose_db_version WHERE version_id >= 10`,
		} {
			if _, err := tx.exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// How findings are judged.
var (
	PostgresVersion = postgresVersion
	Encryption      = encryption
)
