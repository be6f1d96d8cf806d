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
	r := Repository{Name: name}
	var created int64
	err := q.run.get(ctx, `SELECT id, created_at FROM repositories WHERE name = ?`, []any{string(name)}, &r.ID, &created)
	if isNone(err) {
		return r, registry.ErrNameUnknown.With("repository %q does not exist", name)
	}
	r.CreatedAt = fromMicros(created)
	return r, err
}

// Repositories lists names after last.
func (q queries) Repositories(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	rows, err := q.run.query(ctx, `SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?`, string(last), limit)
	return collect(rows, err, scanOne[registry.Name])
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
	err = tx.run.get(ctx, `SELECT 1 FROM manifests WHERE repository_id = ? LIMIT 1`, []any{r.ID}, &one)
	if err == nil {
		return false, registry.ErrNotEmpty.With("repository %q still holds images", r.Name)
	}
	if !isNone(err) {
		return false, err
	}
	rows, err := tx.run.query(ctx, `SELECT b.digest FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id
		WHERE rb.repository_id = ? LIMIT ?`, r.ID, limit)
	linked, err := collect(rows, err, scanOne[string])
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
