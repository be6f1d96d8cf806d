package meta

import (
	"context"
	"database/sql"
	"fmt"

	"berth/auth"
)

// Policy implements [auth.Store].
func (db *DB) Policy(ctx context.Context, name string) (auth.StoredPolicy, error) {
	p := auth.StoredPolicy{Name: name}
	err := db.run.get(ctx, `SELECT document FROM policies WHERE name = ?`, []any{name}, &p.Document)
	if isNone(err) {
		err = auth.ErrPolicyUnknown
	}
	return p, err
}

// Policies implements [auth.Store].
func (db *DB) Policies(ctx context.Context, after string, limit int) ([]auth.StoredPolicy, error) {
	return collect(ctx, db.run, func(rows *sql.Rows) (p auth.StoredPolicy, err error) {
		return p, rows.Scan(&p.Name, &p.Document)
	}, `SELECT name, document FROM policies WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
}

// PutPolicy implements [auth.Store].
func (db *DB) PutPolicy(ctx context.Context, p auth.StoredPolicy) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO policies (name, document, updated_at) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at`,
			p.Name, p.Document, micros(tx.now))
		return err
	})
}

// DeletePolicy implements [auth.Store].
func (db *DB) DeletePolicy(ctx context.Context, name string) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		var account string
		err := tx.run.get(ctx, `SELECT account FROM account_policies WHERE policy = ? LIMIT 1`, []any{name}, &account)
		if err == nil {
			return auth.ErrPolicyAttached
		}
		if !isNone(err) {
			return err
		}
		n, err := tx.exec(ctx, `DELETE FROM policies WHERE name = ?`, name)
		if err == nil && n == 0 {
			return auth.ErrPolicyUnknown
		}
		return err
	})
}

// Attachments implements [auth.Store].
func (db *DB) Attachments(ctx context.Context, account string) ([]string, error) {
	return collect(ctx, db.run, scanOne[string], `SELECT policy FROM account_policies WHERE account = ? ORDER BY policy`, account)
}

// Attach implements [auth.Store].
func (db *DB) Attach(ctx context.Context, account, policy string) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		if _, err := tx.account(ctx, account); err != nil {
			return err
		}
		return tx.attach(ctx, account, policy)
	})
}

// attach attaches a policy to an account that is there. Errors: ErrPolicyUnknown.
func (tx *Tx) attach(ctx context.Context, account, policy string) error {
	if !auth.IsManaged(policy) {
		known, err := tx.exists(ctx, `SELECT 1 FROM policies WHERE name = ?`, policy)
		if err == nil && !known {
			err = fmt.Errorf("%w: %s", auth.ErrPolicyUnknown, policy)
		}
		if err != nil {
			return err
		}
	}
	_, err := tx.exec(ctx, `INSERT INTO account_policies (account, policy) VALUES (?, ?) ON CONFLICT DO NOTHING`, account, policy)
	return err
}

// Detach implements [auth.Store].
func (db *DB) Detach(ctx context.Context, account, policy string) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		if _, err := tx.account(ctx, account); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `DELETE FROM account_policies WHERE account = ? AND policy = ?`, account, policy)
		if err == nil && n == 0 {
			return auth.ErrNotAttached
		}
		return err
	})
}
