package meta

import (
	"context"
	"database/sql"
	"time"

	"berth/auth"
)

var _ auth.Store = (*DB)(nil)

// generationLife is how long Generation may answer without looking. A change made
// through this DB is seen at once; one that another process makes, such as the
// command line beside a running server, after this time at the latest.
const generationLife = 100 * time.Millisecond

// accountsChanged is what other processes are told.
const accountsChanged = "accounts"

// generation is the counter of account changes as it was last read.
type generation struct {
	value  int64
	readAt time.Time
}

// Generation implements [auth.Store]. It is asked at every request, and looking each
// time would be a fifth of what a HEAD costs.
func (db *DB) Generation(ctx context.Context) (int64, error) {
	if g := db.generation.Load(); g != nil && time.Since(g.readAt) < generationLife {
		return g.value, nil
	}
	changes := db.accountChanges.Load()
	g := &generation{readAt: time.Now()}
	err := db.run.get(ctx, `SELECT value FROM generations WHERE name = 'accounts'`, nil, &g.value)
	if err != nil {
		return 0, err
	}
	db.generation.Store(g)
	if db.accountChanges.Load() != changes {
		db.generation.Store(nil) // read before the change, stored after it
	}
	return g.value, nil
}

// Account implements [auth.Store].
func (db *DB) Account(ctx context.Context, name string) (auth.Account, error) {
	return db.account(ctx, name)
}

// Accounts implements [auth.Store].
func (db *DB) Accounts(ctx context.Context, after string, limit int) ([]auth.Account, error) {
	return collect(ctx, db.run, scanAccount, selectAccount+` WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
}

// CreateAccount implements [auth.Store].
func (db *DB) CreateAccount(ctx context.Context, a auth.Account, policies ...string) error {
	return db.changeAccounts(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `INSERT INTO accounts (name, kind, secret, disabled, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO NOTHING`,
			a.Name, string(a.Kind), a.PasswordHash, a.Disabled, optionalMicros(a.ExpiresAt), micros(a.CreatedAt))
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
	return db.changeAccounts(ctx, func(tx *Tx) error {
		a, err := tx.account(ctx, name)
		if err != nil {
			return err
		}
		if err := change(&a); err != nil {
			return err
		}
		_, err = tx.exec(ctx, `UPDATE accounts SET secret = ?, disabled = ?, expires_at = ? WHERE name = ?`,
			a.PasswordHash, a.Disabled, optionalMicros(a.ExpiresAt), name)
		return err
	})
}

// DeleteAccount implements [auth.Store].
func (db *DB) DeleteAccount(ctx context.Context, name string) error {
	return db.changeAccounts(ctx, func(tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM account_policies WHERE account = ?`, name); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `DELETE FROM accounts WHERE name = ?`, name)
		if err == nil && n == 0 {
			return auth.ErrAccountUnknown
		}
		return err
	})
}

// changeAccounts is an Update after which caches of accounts and policies are stale,
// those of other processes too.
func (db *DB) changeAccounts(ctx context.Context, change func(*Tx) error) error {
	defer db.generation.Store(nil)
	defer db.accountChanges.Add(1)
	return db.Update(ctx, func(tx *Tx) error {
		// First, because it makes others who change accounts wait.
		if _, err := tx.exec(ctx, `UPDATE generations SET value = value + 1 WHERE name = 'accounts'`); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.notify(ctx, accountsChanged)
	})
}

const selectAccount = `SELECT name, kind, secret, disabled, expires_at, created_at FROM accounts`

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
	err = rows.Scan(&a.Name, &a.Kind, &a.PasswordHash, &a.Disabled, &expires, &created)
	if expires != nil {
		a.ExpiresAt = fromMicros(*expires)
	}
	a.CreatedAt = fromMicros(created)
	return a, err
}

// optionalMicros keeps the zero time as null.
func optionalMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micros(t)
}
