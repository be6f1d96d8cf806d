package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// defaultPostgresConnections is what [Options.Connections] means when it is zero.
	defaultPostgresConnections = 20

	// queryTimeout bounds a statement outside a transaction and a whole transaction,
	// the wait for a connection included.
	queryTimeout = 20 * time.Second

	// patience is how long what fails through no fault of its own is tried again, so
	// that a client hears nothing of a server that restarts quickly.
	patience = 5 * time.Second
)

// postgresDatabase is PostgreSQL: every transaction has a connection of its own.
//
// Transactions read what has been committed when each statement starts. What that is
// too weak for is locked, repository by repository (see dialect.lock), and foreign
// keys catch what is left: who then comes second is told so and tries again, when it
// sees what the first has done.
type postgresDatabase struct {
	postgresDialect

	pool    *sql.DB // on which commits wait for the disk
	relaxed *sql.DB // on which they do not
	log     *slog.Logger
	observe func(time.Duration, int)
	now     func() time.Time

	listening context.CancelFunc
	listener  sync.WaitGroup
}

// openPostgres connects to a server. heard is called, one call at a time, with what
// others say they have changed.
func openPostgres(ctx context.Context, rawURL string, opts Options, heard func(string)) (*postgresDatabase, error) {
	if opts.Connections == 0 {
		opts.Connections = defaultPostgresConnections
	}
	config, err := postgresConfig(rawURL, "berth")
	if err != nil {
		return nil, errors.New("it is not a connection URL of PostgreSQL, such as postgres://user:password@host:5432/berth?sslmode=require")
	}
	if len(config.Fallbacks) > 0 && config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	relaxed := config.Copy()
	setParam(relaxed, "synchronous_commit", "off")
	db := &postgresDatabase{
		pool:    openPool(config, opts.Connections),
		relaxed: openPool(relaxed, max(opts.Connections/4, 2)),
		log:     opts.Logger,
		observe: opts.Observe,
		now:     opts.Now,
	}
	if err := migrate(ctx, db, opts.Logger); err != nil {
		return nil, errors.Join(refusal(config, err), db.close())
	}
	listening, cancel := context.WithCancel(context.Background())
	db.listening = cancel
	db.listener.Go(func() { listen(listening, config, opts.Logger, heard) })
	return db, nil
}

// postgresConfig reads a connection URL. What it leaves open is set as servers want it;
// application is what the database lists the connections as.
func postgresConfig(rawURL, application string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, err
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	setParam(config, "application_name", application)
	// What a server that is short of everything should not go on with after we have
	// given up on it.
	limit := strconv.FormatInt(queryTimeout.Milliseconds(), 10)
	setParam(config, "statement_timeout", limit)
	setParam(config, "idle_in_transaction_session_timeout", limit)
	return config, nil
}

// refusal is err in short if the server has answered and will not have us: then it is no
// use to try again.
func refusal(config *pgx.ConnConfig, err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) && (strings.HasPrefix(said.Code, "28") || said.Code == "3D000" || said.Code == "42501") {
		return fmt.Errorf("PostgreSQL at %s says: %s; berth doctor tells what to do", config.Host, said.Message)
	}
	return err
}

// setParam sets what the URL leaves open.
func setParam(config *pgx.ConnConfig, name, value string) {
	if _, set := config.RuntimeParams[name]; !set {
		config.RuntimeParams[name] = value
	}
}

func openPool(config *pgx.ConnConfig, size int) *sql.DB {
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxLifetime(time.Hour) // or a server that was added to a cluster would never be used
	return pool
}

func (db *postgresDatabase) shared() bool { return true }

// broken is never: connections are made anew.
func (db *postgresDatabase) broken() <-chan struct{} { return nil }

func (db *postgresDatabase) ping(ctx context.Context) error {
	return db.translate(db.pool.PingContext(ctx))
}

func (db *postgresDatabase) close() error {
	if db.listening != nil {
		db.listening()
		db.listener.Wait()
	}
	return errors.Join(db.pool.Close(), db.relaxed.Close())
}

// update runs a transaction until it commits, fails by itself, or patience ends.
func (db *postgresDatabase) update(ctx context.Context, relaxed bool, fn func(*Tx) error) error {
	asked := time.Now()
	defer func() { db.observe(time.Since(asked), 1) }()
	pool := db.pool
	if relaxed {
		pool = db.relaxed
	}
	return db.retry(ctx, func(ctx context.Context) error { return db.transact(ctx, pool, nil, fn) })
}

// bulk has all the time it wants, and is not tried again.
func (db *postgresDatabase) bulk(ctx context.Context, fn func(*Tx) error) error {
	return db.translate(db.transact(ctx, db.pool, nil, func(tx *Tx) error {
		if err := unlimited(ctx, tx); err != nil {
			return err
		}
		return fn(tx)
	}))
}

func (db *postgresDatabase) snapshot(ctx context.Context, fn func(runner) error) error {
	oneMoment := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	return db.translate(db.transact(ctx, db.pool, oneMoment, func(tx *Tx) error {
		if err := unlimited(ctx, tx); err != nil {
			return err
		}
		return fn(tx.run)
	}))
}

// unlimited lifts the time limits of a transaction.
func unlimited(ctx context.Context, tx *Tx) error {
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, err := tx.exec(ctx, "SET LOCAL "+limit+" = 0"); err != nil {
			return err
		}
	}
	return nil
}

// transact runs a transaction once. Its error is final if the changes may have been
// made nevertheless.
func (db *postgresDatabase) transact(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(*Tx) error) error {
	transaction, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	run := &postgresTx{on: transaction, dialect: &db.postgresDialect}
	tx := &Tx{queries: queries{run: run, dialect: db}, now: db.now()}
	// fn may have made an error of its own of what the server said, or have gone on: the
	// server has given up the transaction either way.
	if err := errors.Join(call(&write{fn: fn}, tx), run.failed); err != nil {
		return err
	}
	if err := transaction.Commit(); err != nil {
		if outcomeUnknown(err) {
			err = &finalError{fmt.Errorf("the connection broke during a commit: %w", err)}
		}
		return err
	}
	return nil
}

// retry calls do until what it answers is not worth another try.
func (db *postgresDatabase) retry(ctx context.Context, do func(context.Context) error) error {
	// A client that goes away is no reason to close a connection in the middle of a
	// statement.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	var end time.Time
	for pause := 5 * time.Millisecond; ; pause = min(pause*2, 500*time.Millisecond) {
		err := do(limited)
		kind := classify(err)
		if kind == lostConnection || kind == readOnly {
			db.forget(err, kind)
		}
		if kind == final {
			return db.translate(err)
		}
		if end.IsZero() {
			end = time.Now().Add(patience)
		}
		if ctx.Err() != nil || time.Now().Add(pause).After(end) {
			return db.translate(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(pause))) + pause/2)
	}
}

// forget closes the connections that nobody uses after one has turned out to lead to a
// server that is gone, or no longer the one that may be written to.
func (db *postgresDatabase) forget(err error, kind errorKind) {
	db.log.Warn("lost a connection to the database", "error", err)
	if kind != readOnly {
		return // the pool finds the other broken ones itself
	}
	for _, pool := range []*sql.DB{db.pool, db.relaxed} {
		size := pool.Stats().MaxOpenConnections
		pool.SetMaxIdleConns(-1)
		pool.SetMaxIdleConns(size)
	}
}

func (db *postgresDatabase) exec(ctx context.Context, query string, args ...any) (res sql.Result, err error) {
	err = db.retry(ctx, func(ctx context.Context) error {
		res, err = db.pool.ExecContext(ctx, db.rebind(query), args...)
		if err != nil && outcomeUnknown(err) {
			return &finalError{err}
		}
		return err
	})
	return res, err
}

// query tries again as long as no row has been handed out: who has seen one would see
// it twice.
func (db *postgresDatabase) query(ctx context.Context, each func(*sql.Rows) error, query string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.retry(ctx, func(ctx context.Context) error {
		begun := false
		rows, err := db.pool.QueryContext(ctx, db.rebind(query), args...)
		err = walk(rows, err, func(rows *sql.Rows) error {
			begun = true
			return each(rows)
		})
		if begun && classify(err) != final {
			return &finalError{err}
		}
		return err
	})
}

func (db *postgresDatabase) get(ctx context.Context, query string, args []any, dest ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.retry(ctx, func(ctx context.Context) error {
		return db.pool.QueryRowContext(ctx, db.rebind(query), args...).Scan(dest...)
	})
}

// postgresDialect is the SQL of PostgreSQL.
type postgresDialect struct {
	texts sync.Map // query text of ours → of PostgreSQL
}

func (*postgresDialect) schemaTypes() schemaTypes {
	return schemaTypes{
		ID:           "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
		Text:         `TEXT COLLATE "C"`,
		Bytes:        "BYTEA",
		Concurrently: "CONCURRENTLY",
		Uncompressed: "SET STORAGE EXTERNAL",
	}
}

// lock takes an advisory lock, which costs no write.
func (*postgresDialect) lock(id string, alone bool) string {
	if alone {
		return "pg_advisory_xact_lock(" + id + ")::text"
	}
	return "pg_advisory_xact_lock_shared(" + id + ")::text"
}

func (*postgresDialect) tryLock(id string) string {
	return "pg_try_advisory_xact_lock_shared(" + id + ")"
}

func (*postgresDialect) resume(t Table) string {
	if !t.counts() {
		return ""
	}
	return "SELECT setval(pg_get_serial_sequence('" + t.Name + "', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM " + t.Name + "), false)"
}

// clock is that of the server. clock_timestamp would not do: it changes during a
// statement, so PostgreSQL does not look for it in an index.
func (*postgresDialect) clock() string {
	return "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
}

func (*postgresDialect) skipLocked() string { return " FOR UPDATE SKIP LOCKED" }

func (*postgresDialect) change() string { return " FOR NO KEY UPDATE" }

// slot goes by the process that serves the connection. They are numbered in order.
func (*postgresDialect) slot(n int) string { return "pg_backend_pid() % " + strconv.Itoa(n) }

func (*postgresDialect) keep() string { return " FOR KEY SHARE" }

func (*postgresDialect) notify() string { return "SELECT pg_notify('" + channel + "', ?)::text" }

// rebind turns ? into $1, $2 and so on. No statement of ours has a ? in a string.
func (d *postgresDialect) rebind(query string) string {
	if text, ok := d.texts.Load(query); ok {
		return text.(string)
	}
	var b strings.Builder
	for n, rest := 1, query; ; n++ {
		before, after, found := strings.Cut(rest, "?")
		b.WriteString(before)
		if !found {
			break
		}
		b.WriteString("$" + strconv.Itoa(n))
		rest = after
	}
	d.texts.Store(query, b.String())
	return b.String()
}
