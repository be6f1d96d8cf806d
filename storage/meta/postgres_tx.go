package meta

import (
	"context"
	"database/sql"
	"errors"
)

// postgresTx is the runner of one transaction. The driver keeps what it has prepared
// on each connection.
type postgresTx struct {
	on      *sql.Tx
	dialect *postgresDialect
	failed  error // what the server said first: after that the transaction cannot go on
}

// The context of a transaction is that of its retry, which [sql.Tx] has been given:
// the caller's may be done in the middle of a statement, and that would cost the
// connection.
func (t *postgresTx) context(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

func (t *postgresTx) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := t.on.ExecContext(t.context(ctx), t.dialect.rebind(query), args...)
	return res, t.note(err)
}

func (t *postgresTx) query(ctx context.Context, each func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.on.QueryContext(t.context(ctx), t.dialect.rebind(query), args...)
	if t.note(err) != nil {
		return err
	}
	return walk(rows, nil, each)
}

func (t *postgresTx) get(ctx context.Context, query string, args []any, dest ...any) error {
	err := t.on.QueryRowContext(t.context(ctx), t.dialect.rebind(query), args...).Scan(dest...)
	return t.note(err)
}

func (t *postgresTx) note(err error) error {
	if err != nil && t.failed == nil && !errors.Is(err, sql.ErrNoRows) {
		t.failed = err
	}
	return err
}
