package meta

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrations are made by one process at a time; the others wait for it.
func (db *postgresDatabase) migrations() (*sql.DB, goose.Dialect, []goose.ProviderOption, error) {
	// Tried once a second for five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	return db.pool, goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(patientLocker{locker})}, err
}

// patientLocker gives the statements of migrations the time that they take: they are made
// on the connection that holds the lock, and to build an index of a large table takes
// longer than a statement may otherwise.
type patientLocker struct{ lock.SessionLocker }

func (l patientLocker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "SET statement_timeout = 0"); err != nil {
		return err
	}
	if err := l.SessionLocker.SessionLock(ctx, conn); err != nil {
		return errors.Join(err, l.reset(ctx, conn))
	}
	return nil
}

func (l patientLocker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	return errors.Join(l.reset(ctx, conn), l.SessionLocker.SessionUnlock(ctx, conn))
}

// reset makes the connection one like all others.
func (patientLocker) reset(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(context.WithoutCancel(ctx), "RESET statement_timeout")
	return err
}
