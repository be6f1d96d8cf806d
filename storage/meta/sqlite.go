package meta

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"berth/registry"
)

// sqliteDatabase is SQLite in WAL mode: one connection writes, many read meanwhile.
//
// With synchronous=NORMAL a commit is in the log but not yet on the disk, and the
// database cannot be damaged by a power cut, only its last commits lost. That those
// are on the disk is seen to here, by a sync of the log: synchronous=FULL would do the
// same, but while it holds the lock, once for every commit, and with fsync where
// fdatasync does. https://www.sqlite.org/pragma.html#pragma_synchronous
type sqliteDatabase struct {
	sqliteDialect
	*statements // on reads

	reads   *sql.DB
	writes  *sql.DB
	writer  *writer
	log     *os.File // the write-ahead log, which is synced
	closing sync.Once
}

func openSQLite(ctx context.Context, path string, opts Options) (*sqliteDatabase, error) {
	if opts.Connections == 0 {
		opts.Connections = 8
	}
	db := &sqliteDatabase{}
	var err error
	if db.reads, db.writes, err = openSQLiteFile(path, opts.Connections); err != nil {
		return nil, err
	}
	db.statements = newStatements(db, db.reads)
	if err := db.prepare(ctx, path, opts); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

func (db *sqliteDatabase) prepare(ctx context.Context, path string, opts Options) error {
	if err := migrate(ctx, db, opts.Logger); err != nil {
		return err
	}
	var err error
	if db.log, err = openSQLiteLog(path); err != nil {
		return err
	}
	db.writer, err = startWriter(ctx, db, db.writes, func() error { return datasync(db.log) }, opts)
	return err
}

func (db *sqliteDatabase) update(ctx context.Context, relaxed bool, fn func(*Tx) error) error {
	return db.writer.do(ctx, relaxed, fn)
}

func (db *sqliteDatabase) bulk(ctx context.Context, fn func(*Tx) error) error {
	return db.update(ctx, false, fn)
}

func (db *sqliteDatabase) snapshot(ctx context.Context, fn func(runner) error) error {
	conn, err := db.reads.Conn(ctx)
	if err != nil {
		return db.translate(err)
	}
	defer conn.Close()
	run := newStatements(db, conn)
	defer run.close()
	if _, err := run.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err = fn(run)
	_, endErr := run.exec(ctx, "COMMIT")
	return errors.Join(err, endErr)
}

// shared is false although the command line may write beside a server: it is one
// machine, and one server on it.
func (db *sqliteDatabase) shared() bool { return false }

func (db *sqliteDatabase) broken() <-chan struct{} { return db.writer.syncer.broken }

func (db *sqliteDatabase) migrations() (*sql.DB, goose.Dialect, []goose.ProviderOption, error) {
	return db.writes, goose.DialectSQLite3, nil, nil
}

func (db *sqliteDatabase) ping(ctx context.Context) error {
	if err := db.writer.failed(); err != nil {
		return err
	}
	return db.translate(db.reads.PingContext(ctx))
}

func (db *sqliteDatabase) close() error {
	var err error
	db.closing.Do(func() {
		if db.writer != nil {
			db.writer.close()
		}
		err = errors.Join(db.reads.Close(), db.writes.Close())
		if db.log != nil {
			err = errors.Join(err, db.log.Close())
		}
	})
	return err
}

func openSQLiteFile(path string, readers int) (reads, writes *sql.DB, err error) {
	// busy_timeout (ms) is how long we wait for another process, such as the command
	// line beside a running server, to end its transaction.
	pragmas := url.Values{"_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(ON)", "cache_size(-4096)",
		"temp_store(MEMORY)",
		// Pages of 4 KiB in the write-ahead log before they are moved to the database.
		// Pages that change often are moved once for many changes.
		"wal_autocheckpoint(4000)",
	}}
	// The path may hold characters that mean something in a URL.
	dsn := "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
	// The file holds keys and hashes of passwords, and SQLite would let everybody read
	// it. What it makes beside it gets the same mode. One that is there is not touched:
	// to close it would drop the locks that SQLite has on it elsewhere in this process.
	switch file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); {
	case err == nil:
		if err := file.Close(); err != nil {
			return nil, nil, err
		}
	case !errors.Is(err, os.ErrExist):
		return nil, nil, err
	}
	// A migration that began by reading could not wait for another process to end its own.
	if writes, err = sql.Open("sqlite", dsn+"?_txlock=immediate&"+pragmas.Encode()); err != nil {
		return nil, nil, err
	}
	writes.SetMaxOpenConns(1)
	writes.SetConnMaxLifetime(0)
	pragmas.Add("_pragma", "query_only(ON)")
	if reads, err = sql.Open("sqlite", dsn+"?"+pragmas.Encode()); err != nil {
		return nil, nil, errors.Join(err, writes.Close())
	}
	reads.SetMaxOpenConns(readers)
	reads.SetMaxIdleConns(readers)
	return reads, writes, nil
}

// openSQLiteLog opens the write-ahead log, which is there as long as a connection is.
func openSQLiteLog(path string) (*os.File, error) {
	return os.Open(path + "-wal")
}

// sqliteDialect is the SQL of SQLite.
type sqliteDialect struct{}

func (sqliteDialect) schemaTypes() schemaTypes {
	return schemaTypes{ID: "INTEGER PRIMARY KEY", Text: "TEXT", Bytes: "BLOB", Clustered: "WITHOUT ROWID"}
}

func (sqliteDialect) rebind(query string) string { return query }

func (sqliteDialect) lock(string, bool) string { return "''" }

func (sqliteDialect) tryLock(string) string { return "TRUE" }

func (sqliteDialect) resume(Table) string { return "" }

// clock is that of the machine, in steps of a millisecond.
func (sqliteDialect) clock() string { return "CAST(unixepoch('subsec') * 1000000 AS INTEGER)" }

func (sqliteDialect) skipLocked() string { return "" }

func (sqliteDialect) change() string { return "" }

// slot is one for all: one transaction runs at a time.
func (sqliteDialect) slot(int) string { return "0" }

func (sqliteDialect) keep() string { return "" }

func (sqliteDialect) notify() string { return "" }

func (sqliteDialect) translate(err error) error {
	var e *sqlite.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch code := e.Code(); code & 0xff { // the low byte is the primary code
	case sqlite3.SQLITE_FULL:
		return errors.Join(registry.ErrStorageFull, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return errors.Join(registry.ErrUnavailable.With("the database is locked by another process; try again shortly"), err)
	default:
		return &codedError{err: err, code: code}
	}
}

// codedError adds the number that SQLite's documentation lists errors by.
type codedError struct {
	err  error
	code int
}

func (e *codedError) Error() string {
	return e.err.Error() + " (code " + strconv.Itoa(e.code) + ")"
}

func (e *codedError) Unwrap() error { return e.err }
