package meta

import (
	"context"
	"errors"
	"time"

	"berth/registry"
)

// Repository is a repository as it stands in the database.
type Repository struct {
	ID        int64
	Name      registry.Name
	CreatedAt time.Time
}

// Repository finds a repository. Errors: ErrNameUnknown.
func (q queries) Repository(ctx context.Context, name registry.Name) (Repository, error) {
	return q.repository(ctx, name, "''")
}

func (q queries) repository(ctx context.Context, name registry.Name, lock string) (Repository, error) {
	r := Repository{Name: name}
	var created int64
	var locked string
	err := q.run.get(ctx, `SELECT id, created_at, `+lock+` FROM repositories WHERE name = ?`, []any{string(name)},
		&r.ID, &created, &locked)
	if isNone(err) {
		return r, registry.ErrNameUnknown.With("repository %q does not exist", name)
	}
	r.CreatedAt = fromMicros(created)
	return r, err
}

// Repository finds a repository to which something is added: what is there stays
// until the transaction ends. Errors: ErrNameUnknown.
func (tx *Tx) Repository(ctx context.Context, name registry.Name) (Repository, error) {
	return tx.repository(ctx, name, tx.dialect.lock("id", false))
}

// LockRepository finds a repository from which something is taken away: nobody else
// changes what it holds until the transaction ends. Errors: ErrNameUnknown.
func (tx *Tx) LockRepository(ctx context.Context, name registry.Name) (Repository, error) {
	return tx.repository(ctx, name, tx.dialect.lock("id", true))
}

// Repositories lists names after last.
func (q queries) Repositories(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	return collect(ctx, q.run, scanOne[registry.Name], `SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?`, string(last), limit)
}

// EnsureRepository finds a repository, making it if need be.
func (tx *Tx) EnsureRepository(ctx context.Context, name registry.Name) (Repository, error) {
	r, err := tx.Repository(ctx, name)
	if !errors.Is(err, registry.ErrNameUnknown) {
		return r, err
	}
	_, err = tx.exec(ctx, `INSERT INTO repositories (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`,
		string(name), micros(tx.now))
	if err != nil {
		return r, err
	}
	return tx.Repository(ctx, name)
}

// DeleteRepository removes a repository from which all manifests have been
// deleted, together with its links to blobs. limit bounds the links that go in one
// transaction; it reports whether everything is gone. Errors: ErrNotEmpty.
func (tx *Tx) DeleteRepository(ctx context.Context, r Repository, limit int) (done bool, err error) {
	var one int
	// In order, or PostgreSQL reads through the whole table for a repository that had
	// most of the manifests when it last counted.
	err = tx.run.get(ctx, `SELECT 1 FROM manifests WHERE repository_id = ? ORDER BY digest LIMIT 1`, []any{r.ID}, &one)
	if err == nil {
		return false, registry.ErrNotEmpty.With("repository %q still holds images", r.Name)
	}
	if !isNone(err) {
		return false, err
	}
	linked, err := collect(ctx, tx.run, scanOne[string], `SELECT b.digest FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id
		WHERE rb.repository_id = ? LIMIT ?`, r.ID, limit)
	if err != nil {
		return false, err
	}
	for _, d := range linked {
		if err := tx.unlinkBlob(ctx, r, d); err != nil {
			return false, err
		}
	}
	if len(linked) == limit {
		return false, nil
	}
	_, err = tx.exec(ctx, `DELETE FROM repositories WHERE id = ?`, r.ID)
	return err == nil, err
}
