package meta

import (
	"cmp"
	"context"
	"database/sql"

	"berth/auth"
)

var _ auth.Store = (*DB)(nil)

// accountsChanged is what other processes are told.
const accountsChanged = "accounts"

// Generation implements [auth.Store]. It is asked at every request, and looking each
// time would be a fifth of what a HEAD costs.
func (db *DB) Generation(ctx context.Context) (int64, error) { return db.accounts.read(ctx, db.run) }

// Account implements [auth.Store].
func (db *DB) Account(ctx context.Context, name string) (auth.Account, error) {
	return db.account(ctx, name)
}

// Accounts implements [auth.Store].
func (db *DB) Accounts(ctx context.Context, kind auth.Kind, after string, limit int) ([]auth.Account, error) {
	if kind == "" {
		return collect(ctx, db.run, scanAccount, selectAccount+` WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
	}
	return collect(ctx, db.run, scanAccount, selectAccount+` WHERE kind = ? AND name > ? ORDER BY name LIMIT ?`, string(kind), after, limit)
}

// CreateAccount implements [auth.Store].
func (db *DB) CreateAccount(ctx context.Context, a auth.Account, policies ...string) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		tags, err := toJSON(a.Tags, len(a.Tags) == 0)
		if err != nil {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO accounts (name, kind, secret, disabled, expires_at, created_at, tags, trust) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO NOTHING`,
			a.Name, string(a.Kind), a.PasswordHash, a.Disabled, optionalMicros(a.ExpiresAt), micros(a.CreatedAt), tags, a.Trust)
		if err == nil && n == 0 {
			err = auth.ErrAccountExists
		}
		for _, p := range policies {
			if err == nil {
				err = tx.attach(ctx, a.Name, p)
			}
		}
		return err
	})
}

// UpdateAccount implements [auth.Store].
func (db *DB) UpdateAccount(ctx context.Context, name string, change func(*auth.Account) error) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		a, err := tx.account(ctx, name)
		if err != nil {
			return err
		}
		if err := change(&a); err != nil {
			return err
		}
		tags, err := toJSON(a.Tags, len(a.Tags) == 0)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `UPDATE accounts SET secret = ?, disabled = ?, expires_at = ?, tags = ?, trust = ? WHERE name = ?`,
			a.PasswordHash, a.Disabled, optionalMicros(a.ExpiresAt), tags, a.Trust, name)
		return err
	})
}

// DeleteAccount implements [auth.Store].
func (db *DB) DeleteAccount(ctx context.Context, name string) error {
	return db.UpdateAccess(ctx, func(tx *Tx) error {
		for _, statement := range []string{
			`DELETE FROM account_policies WHERE account = ?`,
			`DELETE FROM access_keys WHERE account = ?`,
		} {
			if _, err := tx.exec(ctx, statement, name); err != nil {
				return err
			}
		}
		n, err := tx.exec(ctx, `DELETE FROM accounts WHERE name = ?`, name)
		if err == nil && n == 0 {
			return auth.ErrAccountUnknown
		}
		return err
	})
}

// UpdateAccess is an Update that begins with [Tx.AccessChanged].
func (db *DB) UpdateAccess(ctx context.Context, change func(*Tx) error) error {
	return db.Update(ctx, func(tx *Tx) error {
		// First, because it makes others who change accounts wait.
		if err := tx.AccessChanged(ctx); err != nil {
			return err
		}
		return change(tx)
	})
}

// AccessChanged makes caches of who may do what stale, those of other processes too: of
// accounts, of policies, and of the tags of repositories.
func (tx *Tx) AccessChanged(ctx context.Context) error {
	tx.access = true
	if err := tx.move(ctx, accountsChanged); err != nil {
		return err
	}
	return tx.notify(ctx, accountsChanged)
}

const selectAccount = `SELECT name, kind, secret, disabled, expires_at, created_at, tags, trust FROM accounts`

func (q queries) account(ctx context.Context, name string) (auth.Account, error) {
	found, err := collect(ctx, q.run, scanAccount, selectAccount+` WHERE name = ?`, name)
	if err == nil && len(found) == 0 {
		err = auth.ErrAccountUnknown
	}
	if err != nil {
		return auth.Account{}, err
	}
	return found[0], nil
}

func scanAccount(rows *sql.Rows) (a auth.Account, err error) {
	var expires *int64
	var created int64
	var tags string
	err = rows.Scan(&a.Name, &a.Kind, &a.PasswordHash, &a.Disabled, &expires, &created, &tags, &a.Trust)
	a.ExpiresAt, a.CreatedAt = optionalTime(expires), fromMicros(created)
	return a, cmp.Or(err, fromJSON(tags, &a.Tags))
}
