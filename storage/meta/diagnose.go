package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"berth/storage/checkup"
)

// Diagnose checks whether the database at rawURL can be used by servers that are each
// allowed connections, as in [Options], and whether the vulnerability databases that it has
// are older than maxAge. It changes nothing, and does not bring the schema up to date.
func Diagnose(ctx context.Context, rawURL string, connections int, maxAge time.Duration, checks *checkup.Checks) {
	switch scheme, rest, _ := strings.Cut(rawURL, ":"); {
	case scheme == "sqlite" && rest != "":
		diagnoseSQLite(ctx, rest, maxAge, checks)
	case scheme == "postgres" || scheme == "postgresql":
		diagnosePostgres(ctx, rawURL, connections, maxAge, checks)
	default:
		checks.Do(ctx, "database", func(context.Context) checkup.Finding {
			return checkup.Bad(fmt.Sprintf("%q is no database that berth knows", Redact(rawURL)), "set --database to sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME")
		})
	}
}

// diagnoseSQLite looks into the file; its folder is like any other.
func diagnoseSQLite(ctx context.Context, path string, maxAge time.Duration, checks *checkup.Checks) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		checks.Do(ctx, "database", func(context.Context) checkup.Finding {
			return checkup.Fine("%s is not there yet; the first start makes it", path)
		})
		return
	}
	// Without busy_timeout, a server that runs would have us wait; to read, WAL never does.
	pragmas := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(2000)", "query_only(ON)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()+"?"+pragmas.Encode())
	if err != nil {
		checks.Do(ctx, "database", func(context.Context) checkup.Finding { return checkup.Bad(err.Error(), "correct --database") })
		return
	}
	defer db.Close()
	checks.Do(ctx, "database", func(ctx context.Context) checkup.Finding {
		var tables int
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables)
		if err != nil {
			return refusedBySQLite(path, err)
		}
		return checkup.Fine("%s can be read", path)
	})
	checks.Do(ctx, "database schema", func(ctx context.Context) checkup.Finding {
		return schema(ctx, db, "SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'")
	}, "database")
	checks.Do(ctx, "vulnerability database", func(ctx context.Context) checkup.Finding {
		return vulnerabilityDatabases(ctx, db, "SELECT count(*) FROM sqlite_master WHERE name = 'database_updates'", maxAge)
	}, "database schema")
}

func refusedBySQLite(path string, err error) checkup.Finding {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return checkup.Fine("%s is in use by a running server", path)
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return checkup.Bad(path+" is not a database of SQLite, or is damaged: "+err.Error(), "restore it from a backup (berth restore)")
		case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY:
			return checkup.Bad(path+" cannot be opened for writing: "+err.Error(), "give the file and its folder to the user who runs berth (chown)")
		}
	}
	return checkup.Bad(err.Error(), "see whether the disk has faults (dmesg)")
}

// schema compares the schema with the newest that this binary knows. exists counts the
// tables in which goose notes it.
func schema(ctx context.Context, db *sql.DB, exists string) checkup.Finding {
	newest, err := newestSchema()
	if err != nil {
		return checkup.Bad(err.Error(), "")
	}
	var tables int
	if err := db.QueryRowContext(ctx, exists).Scan(&tables); err != nil {
		return checkup.Bad(err.Error(), "see the log of the database")
	}
	if tables == 0 {
		return checkup.Fine("there is none yet; the first start makes it")
	}
	var version int64
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version").Scan(&version); err != nil {
		return checkup.Bad(err.Error(), "let the user of berth read the table goose_db_version, or give it to him (ALTER TABLE … OWNER TO …)")
	}
	switch {
	case version > newest:
		return checkup.Bad(fmt.Sprintf("its version is %d, and this berth knows only %d: a newer berth has used the database", version, newest), "use that berth, or restore a backup made before")
	case version < newest:
		return checkup.Warn(fmt.Sprintf("its version is %d; the next start brings it to %d", version, newest), "make a backup before (berth backup), as older berths cannot use the database afterwards")
	}
	return checkup.Fine("version %d, that of this berth", version)
}

// newestSchema is the number of the last migration.
func newestSchema() (newest int64, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	for _, name := range files {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, err
		}
		newest = max(newest, n)
	}
	return newest, err
}

// leastPostgres is the oldest major release that berth is made for.
const leastPostgres = 14

// endOfLife is when a major release gets its last corrections.
// https://www.postgresql.org/support/versioning/
var endOfLife = map[int]time.Time{
	14: day(2026, time.November, 12),
	15: day(2027, time.November, 11),
	16: day(2028, time.November, 9),
	17: day(2029, time.November, 8),
	18: day(2030, time.November, 14),
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

// postgresVersion judges a release by its number, as in 160004, at a moment.
func postgresVersion(number int, now time.Time) checkup.Finding {
	major := number / 10000
	seen := fmt.Sprintf("PostgreSQL %d.%d", major, number%10000)
	end, known := endOfLife[major]
	switch {
	case major < leastPostgres:
		return checkup.Bad(fmt.Sprintf("%s is too old", seen), fmt.Sprintf("use PostgreSQL %d or newer", leastPostgres))
	case known && now.After(end):
		return checkup.Warn(fmt.Sprintf("%s has had no corrections since %s", seen, end.Format(time.DateOnly)), "upgrade the server to a release that is supported")
	}
	return checkup.Fine("%s", seen)
}
