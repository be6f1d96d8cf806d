package meta

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// database is where the rows are. Everything that is not here is written once for both.
type database interface {
	dialect
	runner // of single statements, outside any transaction

	// update is [DB.Update] and, if relaxed, [DB.UpdateRelaxed].
	update(ctx context.Context, relaxed bool, fn func(*Tx) error) error

	// bulk is [DB.Update] of a transaction that may take long.
	bulk(ctx context.Context, fn func(*Tx) error) error

	// snapshot calls fn with a runner of queries that all see the same moment.
	snapshot(ctx context.Context, fn func(runner) error) error

	// shared reports whether other servers use the same database.
	shared() bool

	// broken is closed when nothing can be written any more until the process starts anew.
	broken() <-chan struct{}

	// migrations is what goose changes the schema through.
	migrations() (*sql.DB, goose.Dialect, []goose.ProviderOption, error)

	ping(ctx context.Context) error
	close() error
}

// dialect is where the SQL of databases differs.
type dialect interface {
	// schemaTypes are the words that migrations leave open.
	schemaTypes() schemaTypes

	// rebind turns the ? of our statements into what the driver expects.
	rebind(query string) string

	// lock is an expression that, in the columns of a query, locks what id names until
	// the transaction ends: for itself alone or together with others that do not ask for
	// it alone. Where one transaction writes at a time there is nothing to lock.
	lock(id string, alone bool) string

	// tryLock is an expression that locks like lock, together with others, or is false if
	// that would take waiting.
	tryLock(id string) string

	// clock is an expression for the time, in microseconds since 1970, that stays the same
	// during a statement. It is one clock for all who use the database.
	clock() string

	// skipLocked ends a query of rows to be changed: it locks them and leaves out those
	// that other transactions have locked.
	skipLocked() string

	// change ends a query of rows that the transaction is about to change what belongs to:
	// others that would do so wait until it ends.
	change() string

	// slot is an expression for one of n numbers, from 0 on, that transactions which run side
	// by side do not share, or seldom.
	slot(n int) string

	// keep ends a query of rows that others may change, and must not remove before the
	// transaction ends.
	keep() string

	// notify is a statement with one parameter that tells other servers, when the
	// transaction commits, what has changed; empty if there are none.
	notify() string

	// resume is a query that has the counter of a table's key go on after the keys that
	// are there; empty if it does so by itself.
	resume(t Table) string

	// translate turns what a driver says into an error of the registry, where there
	// is one that fits.
	translate(err error) error
}

// schemaTypes are what databases have different words for.
type schemaTypes struct {
	ID    string // a primary key that counts by itself
	Text  string // a string that sorts by its bytes
	Bytes string

	// Clustered ends a table that is best kept in the order of its primary key: one
	// tree less to write where the database would keep rows and key apart.
	Clustered string

	// Concurrently is what follows CREATE INDEX where others would have to wait until the
	// index is made. Such a migration is to be one without a transaction.
	Concurrently string

	// Uncompressed is what follows ALTER TABLE … ALTER COLUMN … to keep a database from
	// trying to compress what is compressed already; empty where it never does.
	Uncompressed string
}
