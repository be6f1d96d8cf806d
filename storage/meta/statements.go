package meta

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// runner runs statements, prepared once each.
type runner interface {
	exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	// query calls each with the rows of a query, one after the other, until it returns an
	// error.
	query(ctx context.Context, each func(*sql.Rows) error, query string, args ...any) error
	// get scans the only row of a query into dest; sql.ErrNoRows if there is none.
	get(ctx context.Context, query string, args []any, dest ...any) error
}

// preparer is what an *sql.DB and an *sql.Conn have in common.
type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// statements is the runner of SQLite. Preparing is most of what a small
// query costs, so every text is prepared once and kept: there are some hundred.
//
// Statements run to their end even if ctx is cancelled meanwhile. They take
// microseconds, and SQLite would answer an interrupt during a write by rolling back
// the whole transaction, that of others who share the commit included.
type statements struct {
	dialect dialect
	on      preparer
	kept    sync.Map // query text → *sql.Stmt
}

func newStatements(d dialect, on preparer) *statements {
	return &statements{dialect: d, on: on}
}

func (s *statements) prepare(query string) (*sql.Stmt, error) {
	if stmt, ok := s.kept.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.on.PrepareContext(context.Background(), s.dialect.rebind(query))
	if err != nil {
		return nil, err
	}
	if other, loaded := s.kept.LoadOrStore(query, stmt); loaded {
		stmt.Close()
		return other.(*sql.Stmt), nil
	}
	return stmt, nil
}

// close lets go of all statements. The end of an *sql.Conn does not, and SQLite keeps
// a database open, its write-ahead log included, for as long as it has statements.
func (s *statements) close() {
	s.kept.Range(func(_, stmt any) bool {
		stmt.(*sql.Stmt).Close()
		return true
	})
}

func (s *statements) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := s.prepare(query)
	if err != nil {
		return nil, s.dialect.translate(err)
	}
	res, err := stmt.ExecContext(context.WithoutCancel(ctx), args...)
	return res, s.dialect.translate(err)
}

func (s *statements) query(ctx context.Context, each func(*sql.Rows) error, query string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := s.prepare(query)
	if err != nil {
		return s.dialect.translate(err)
	}
	rows, err := stmt.QueryContext(context.WithoutCancel(ctx), args...)
	return s.dialect.translate(walk(rows, err, each))
}

// walk goes through what a query answers.
func walk(rows *sql.Rows, err error, each func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *statements) get(ctx context.Context, query string, args []any, dest ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := s.prepare(query)
	if err != nil {
		return s.dialect.translate(err)
	}
	return s.dialect.translate(stmt.QueryRowContext(context.WithoutCancel(ctx), args...).Scan(dest...))
}

// collect scans every row of a query with scan.
func collect[T any](ctx context.Context, run runner, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := run.query(ctx, func(rows *sql.Rows) error {
		v, err := scan(rows)
		all = append(all, v)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// scanOne scans rows of a single column.
func scanOne[T any](rows *sql.Rows) (T, error) {
	var v T
	err := rows.Scan(&v)
	return v, err
}

// isNone reports whether a query found no row.
func isNone(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// exists reports whether a query, which selects 1, finds a row.
func (q queries) exists(ctx context.Context, query string, args ...any) (bool, error) {
	var one int
	err := q.run.get(ctx, query, args, &one)
	if isNone(err) {
		return false, nil
	}
	return err == nil, err
}

// maxPortion is how many values one list in a statement has at most.
const maxPortion = 128

// inPortions calls do with lists for IN of some of the values at a time. There are few lengths of
// lists, so that there are few texts of statements; the last value fills them up.
func inPortions[T ~string](all []T, do func(list string, args []any) error) error {
	for len(all) > 0 {
		n := min(len(all), maxPortion)
		length := 1
		for length < n {
			length *= 2
		}
		list, args := make([]byte, 0, 3*length), make([]any, 0, length+1)
		for i := range length {
			if i > 0 {
				list = append(list, ',', ' ')
			}
			list, args = append(list, '?'), append(args, string(all[min(i, n-1)]))
		}
		if err := do(string(list), args); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
