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
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"berth/registry"
	"berth/storage/queue"
)

// DB is the database. It is safe for concurrent use, and other processes may use
// the same database at the same time.
type DB struct {
	queries // each on its own, outside any transaction

	database  database
	accounts  generation               // of accounts, policies and what they depend on
	scanRules generation               // of gates and exceptions
	quotas    atomic.Pointer[quotaSet] // nil when it has to be read
	jobs      queue.Bell               // rung when jobs may be due
	now       func() time.Time
	tests     bool // now is not the clock of this machine
}

// Options are the knobs of [Open]. The zero value works.
type Options struct {
	// Connections bounds those to the database: on SQLite, which has one more that
	// writes, those that read at the same time, 8 if it is zero; on PostgreSQL all but
	// one that listens, 20 if it is zero.
	Connections int
	Logger      *slog.Logger

	// Observe, if set, is told how long a transaction took, from its being asked for
	// to its being durable, and how many others shared its commit.
	Observe func(took time.Duration, shared int)

	// Now, if set, is the time that rows are given: for tests. Jobs and leases go by the
	// clock of the database even so.
	Now func() time.Time
}

// Open opens the database at rawURL and brings its schema up to date. It is
// sqlite:PATH, or postgres://… as libpq has it.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
func Open(ctx context.Context, rawURL string, opts Options) (*DB, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(time.Duration, int) {}
	}
	db := &DB{now: opts.Now, tests: opts.Now != nil}
	db.accounts.name, db.scanRules.name = accountsChanged, scanRulesChanged
	if opts.Now == nil {
		opts.Now, db.now = time.Now, time.Now
	}
	var err error
	switch scheme, rest, _ := strings.Cut(rawURL, ":"); {
	case scheme == "sqlite" && rest != "":
		db.database, err = openSQLite(ctx, rest, opts)
	case scheme == "postgres" || scheme == "postgresql":
		db.database, err = openPostgres(ctx, rawURL, opts, db.heard)
	default:
		err = errors.New("it should be sqlite:PATH or postgres://…")
	}
	if err != nil {
		return nil, fmt.Errorf("database %q: %w", Redact(rawURL), err)
	}
	db.queries = queries{run: db.database, dialect: db.database}
	return db, nil
}

// Redact hides the passwords of a URL, those among its parameters too, and all of one
// that cannot be understood.
func Redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "…"
	}
	parameters := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if parameters.Has(name) {
			parameters.Set(name, "xxxxx")
			u.RawQuery = parameters.Encode()
		}
	}
	return u.Redacted()
}

// heard is called with what another process says it has changed. An empty word means
// that words may have been missed.
func (db *DB) heard(changed string) {
	if changed == "" || changed == accountsChanged {
		db.accounts.moved()
	}
	if changed == "" || changed == scanRulesChanged {
		db.scanRules.moved()
	}
	if changed == "" || changed == quotasChanged {
		db.quotas.Store(nil)
	}
	if changed == "" || changed == jobsChanged {
		db.jobs.Ring()
	}
}

// Close waits for the transactions under way and closes the database. A second call
// does nothing.
func (db *DB) Close() error { return db.database.close() }

// Ping reports whether the database can be read, and nothing has happened after which
// it can no longer be written.
func (db *DB) Ping(ctx context.Context) error { return db.database.ping(ctx) }

// Broken is closed when nothing can be written any more, as after a fault of the disk,
// until the process starts anew; [DB.Ping] says why.
func (db *DB) Broken() <-chan struct{} { return db.database.broken() }

// Clock is the time that this process gives to rows.
func (db *DB) Clock() time.Time { return db.now() }

// Shared reports whether other servers may use the same database.
func (db *DB) Shared() bool { return db.database.shared() }

// Update calls fn with a transaction and commits it, or rolls it back if fn returns
// an error, which Update then returns. When Update returns nil the changes are
// durable. fn runs with other transactions waiting, so it must not do anything slow
// besides SQL, and it must not call methods of the DB itself. It may be called again
// if the database asks for that, so what it leaves behind must not depend on how often.
//
// Errors besides those of fn: ErrUnavailable when the database cannot be reached or
// another process holds it for too long, ErrStorageFull when the disk is full. If the
// connection breaks in the middle of a commit, the answer is ErrUnavailable and the
// changes may have been made.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.update(ctx, false, fn)
}

// UpdateRelaxed is an Update that need not be on the disk when it returns: it
// survives a crash of the process but perhaps not one of the machine. It is for what
// a client can do again, and never for what is answered with 201.
func (db *DB) UpdateRelaxed(ctx context.Context, fn func(*Tx) error) error {
	return db.update(ctx, true, fn)
}

// update also wakes those who wait for what fn enqueues, and forgets what is remembered
// of accounts if fn has changed that. A connection that breaks
// during the commit may have left jobs too.
func (db *DB) update(ctx context.Context, relaxed bool, fn func(*Tx) error) error {
	var jobs, access, scanRules bool
	err := db.counted(ctx, func(quotas *quotaSet) error {
		return db.database.update(ctx, relaxed, func(tx *Tx) error {
			tx.quotas = quotas
			err := fn(tx)
			if err == nil {
				err = tx.writeUsage(ctx)
			}
			jobs, access, scanRules = tx.jobs, tx.access, tx.scanRules
			return err
		})
	})
	if jobs {
		db.jobs.Ring()
	}
	if access {
		db.heard(accountsChanged)
	}
	if scanRules {
		db.heard(scanRulesChanged)
	}
	return err
}

// Tx is a transaction. It sees its own changes.
type Tx struct {
	queries
	now    time.Time
	jobs   bool // have become due through it
	access bool // has changed through it: who may do what

	scanRules bool // have changed through it

	quotas *quotaSet
	held   map[string]*quotaHold     // by prefix
	usage  map[int64]*registry.Usage // what has changed, by repository; nil if nothing has
	gone   []int64                   // repositories that have no counts from now on
	made   madeBlob
}

// queries are the questions that a DB and a Tx both answer.
type queries struct {
	run     runner
	dialect dialect
}

// exec runs a statement and says how many rows it changed.
func (tx *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.run.exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// notify tells other processes, when the transaction commits, what it has changed.
func (tx *Tx) notify(ctx context.Context, changed string) error {
	statement := tx.dialect.notify()
	if statement == "" {
		return nil
	}
	var nothing string
	return tx.run.get(ctx, statement, []any{changed}, &nothing)
}

// micros is how times are kept: microseconds since 1970, which sort as numbers and
// fit a BIGINT of either database.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optionalMicros keeps the zero time as null, and optionalTime reads that.
func optionalMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micros(t)
}

func optionalTime(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return fromMicros(*us)
}
