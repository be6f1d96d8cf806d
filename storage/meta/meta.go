// Package meta keeps what berth knows about bytes: repositories, which blobs and
// manifests are in them, tags, uploads under way, accounts and keys. It holds all
// the SQL there is, one file a noun, in the one dialect that SQLite and PostgreSQL
// share; where they must differ, a method of dialect says how.
//
// A [DB] answers single questions by itself. What must change together changes in
// one [DB.Update], which is durable when it returns.
package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DB is the database. It is safe for concurrent use, and other processes may use
// the same database at the same time.
type DB struct {
	queries // each on its own, outside any transaction

	dialect dialect
	reads   *sql.DB
	writes  *sql.DB
	writer  *writer
	log     *os.File // the write-ahead log, which is synced
	closing sync.Once

	generation     atomic.Pointer[generation] // nil when it has to be read
	accountChanges atomic.Int64               // made through this DB
}

// Options are the knobs of [Open]. The zero value works.
type Options struct {
	Readers int // connections that read at the same time; zero means 8
	Logger  *slog.Logger

	// Observe, if set, is told how long a transaction took, from its being asked for
	// to its being durable, and how many others shared its commit.
	Observe func(took time.Duration, shared int)
}

// Open opens the database at rawURL, sqlite:PATH, and brings its schema up to date.
func Open(ctx context.Context, rawURL string, opts Options) (*DB, error) {
	if opts.Readers == 0 {
		opts.Readers = 8
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	scheme, path, _ := strings.Cut(rawURL, ":")
	if scheme != "sqlite" || path == "" {
		if u, err := url.Parse(rawURL); err == nil {
			rawURL = u.Redacted()
		}
		return nil, fmt.Errorf("database %q: only sqlite:PATH is supported", rawURL)
	}
	d := sqliteDialect{}
	reads, writes, err := d.open(path, opts.Readers)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: d, reads: reads, writes: writes}
	db.queries = queries{run: newStatements(d, reads)}
	if err := db.prepare(ctx, d, path, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", rawURL, err), db.Close())
	}
	return db, nil
}

func (db *DB) prepare(ctx context.Context, d sqliteDialect, path string, opts Options) error {
	if err := migrate(ctx, d, db.writes, opts.Logger); err != nil {
		return err
	}
	var err error
	if db.log, err = d.openLog(path); err != nil {
		return err
	}
	db.writer, err = startWriter(ctx, d, db.writes, func() error { return datasync(db.log) }, opts.Observe)
	return err
}

// Close waits for the transactions under way and closes the database. A second call
// does nothing.
func (db *DB) Close() error {
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

// Ping reports whether the database can be read.
func (db *DB) Ping(ctx context.Context) error {
	return db.dialect.translate(db.reads.PingContext(ctx))
}

// Update calls fn with a transaction and commits it, or rolls it back if fn returns
// an error, which Update then returns. When Update returns nil the changes are
// durable. fn runs with other transactions waiting, so it must not do anything slow
// besides SQL, and it must not call methods of the DB itself.
//
// Errors besides those of fn: ErrUnavailable when another process holds the
// database for too long, ErrStorageFull when the disk is full.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.writer.do(ctx, false, fn)
}

// UpdateRelaxed is an Update that need not be on the disk when it returns: it
// survives a crash of the process but perhaps not one of the machine. It is for what
// a client can do again, and never for what is answered with 201.
func (db *DB) UpdateRelaxed(ctx context.Context, fn func(*Tx) error) error {
	return db.writer.do(ctx, true, fn)
}

// Tx is a transaction. It sees its own changes.
type Tx struct {
	queries
	now time.Time
}

// queries are the questions that a DB and a Tx both answer.
type queries struct {
	run runner
}

// exec runs a statement and says how many rows it changed.
func (tx *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.run.exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// micros is how times are kept: microseconds since 1970, which sort as numbers and
// fit a BIGINT of either database.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }
