package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"berth/registry"
)

// Snapshot is the database as it was at one moment, however long it is read and
// whatever is written meanwhile.
type Snapshot struct {
	queries
}

// Snapshot calls fn with the database as it is now.
func (db *DB) Snapshot(ctx context.Context, fn func(*Snapshot) error) error {
	return db.database.snapshot(ctx, func(run runner) error {
		return fn(&Snapshot{queries{run: run, dialect: db.database}})
	})
}

// Rows calls each with every row of a table, in the order of its key. The values are
// nil, int64, string, []byte or bool, as the columns say; they are each's to keep.
func (s *Snapshot) Rows(ctx context.Context, t Table, each func(row []any) error) error {
	return s.run.query(ctx, func(rows *sql.Rows) error {
		row, dest := t.row()
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i := range row {
			row[i] = value(dest[i])
		}
		return each(row)
	}, `SELECT `+t.names()+` FROM `+t.Name+` ORDER BY `+t.order)
}

// row makes room for a row, and what to scan it into.
func (t Table) row() (row, dest []any) {
	row, dest = make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for i, c := range t.Columns {
		switch c.Kind {
		case Int:
			dest[i] = new(sql.NullInt64)
		case Text:
			dest[i] = new(sql.NullString)
		case Bytes:
			dest[i] = new([]byte)
		case Bool:
			dest[i] = new(sql.NullBool)
		}
	}
	return row, dest
}

// value is what has been scanned, or nil.
func value(scanned any) any {
	switch v := scanned.(type) {
	case *sql.NullInt64:
		if v.Valid {
			return v.Int64
		}
	case *sql.NullString:
		if v.Valid {
			return v.String
		}
	case *[]byte:
		if *v != nil {
			return *v
		}
	case *sql.NullBool:
		if v.Valid {
			return v.Bool
		}
	}
	return nil
}

// Fill is a [DB.Update] that puts rows into an empty database: fn calls insert with
// one row after the other, table by table in the order of [Tables]. Either all of
// them are there afterwards or none. Errors besides those of fn: ErrNotEmpty.
func (db *DB) Fill(ctx context.Context, fn func(insert func(Table, []any) error) error) error {
	return db.database.bulk(ctx, func(tx *Tx) error {
		if err := tx.MustBeEmpty(ctx); err != nil {
			return err
		}
		f := filler{tx: tx, ctx: ctx}
		if err := fn(f.insert); err != nil {
			return err
		}
		if err := f.flush(); err != nil {
			return err
		}
		for _, t := range tables {
			if statement := db.database.resume(t); statement != "" {
				var next int64
				if err := tx.run.get(ctx, statement, nil, &next); err != nil {
					return err
				}
			}
		}
		if _, err := tx.exec(ctx, `UPDATE generations SET value = value + 1 WHERE name = 'accounts'`); err != nil {
			return err
		}
		if err := tx.stopCounting(ctx); err != nil {
			return err
		}
		return tx.recount(ctx)
	})
}

// MustBeEmpty reports whether [DB.Fill] has a chance. Errors: ErrNotEmpty.
func (q queries) MustBeEmpty(ctx context.Context) error {
	for _, t := range tables {
		used, err := q.exists(ctx, `SELECT 1 FROM `+t.Name+` LIMIT 1`)
		if err != nil {
			return err
		}
		if used {
			return registry.ErrNotEmpty.With("the database to fill is in use: it has %s", strings.ReplaceAll(t.Name, "_", " "))
		}
	}
	return nil
}

// filler collects rows, to insert many with one statement.
type filler struct {
	tx    *Tx
	ctx   context.Context
	table Table
	rows  int
	bytes int
	args  []any
}

// How much one statement inserts at most.
const (
	rowsPerInsert  = 200
	bytesPerInsert = 4 << 20
)

func (f *filler) insert(t Table, row []any) error {
	if len(row) != len(t.Columns) {
		return fmt.Errorf("a row of %s has %d columns, not %d", t.Name, len(row), len(t.Columns))
	}
	if t.Name != f.table.Name || f.rows == rowsPerInsert || f.bytes > bytesPerInsert {
		if err := f.flush(); err != nil {
			return err
		}
		f.table = t
	}
	for _, v := range row {
		if b, ok := v.([]byte); ok {
			f.bytes += len(b)
		}
	}
	f.args = append(f.args, row...)
	f.rows++
	return nil
}

func (f *filler) flush() error {
	if f.rows == 0 {
		return nil
	}
	one := "(?" + strings.Repeat(", ?", len(f.table.Columns)-1) + ")"
	_, err := f.tx.exec(f.ctx, `INSERT INTO `+f.table.Name+` (`+f.table.names()+`) VALUES `+
		one+strings.Repeat(", "+one, f.rows-1), f.args...)
	f.rows, f.bytes, f.args = 0, 0, f.args[:0]
	if err != nil {
		return errors.Join(fmt.Errorf("filling %s", f.table.Name), err)
	}
	return nil
}
