package meta

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"berth/registry"
)

// How much room blobs take is counted as links come and go, in rows of storage_usage:
// what a transaction changes is added up in it and written as the last it does. Two
// transactions that count the same blob wait for each other at the blob's row, so that the
// second sees the links of the first. On PostgreSQL each connection has a row of its own to
// add to, or two pushes to one repository would wait for each other's commit.

// everywhere is the registry as a whole, where the usage of a repository is kept.
const everywhere = 0

// The rows that the usage of the registry and of a repository is spread over where
// transactions run side by side.
const (
	registrySlots   = 256 // all are there from the beginning
	repositorySlots = 16
)

// room is what the counts of a repository change by.
func (tx *Tx) room(repository int64) *registry.Usage {
	if tx.usage == nil {
		tx.usage = map[int64]*registry.Usage{everywhere: {}}
	}
	u := tx.usage[repository]
	if u == nil {
		u = &registry.Usage{}
		tx.usage[repository] = u
	}
	return u
}

// countBlob counts a blob that the registry has from now on or, of a negative size, no longer.
func (tx *Tx) countBlob(size int64) { tx.room(everywhere).Unique += size }

// countLink counts a link that has just come, if by is 1, or gone, if it is -1. The row of
// the blob is locked, or nobody else sees it yet.
// Errors: ErrQuotaExceeded.
func (tx *Tx) countLink(ctx context.Context, l link, by int64) error {
	var others []int64
	if l.blob != tx.made.id {
		var err error
		others, err = collect(ctx, tx.run, scanOne[int64], `SELECT repository_id FROM repository_blobs
			WHERE blob_id = ? AND repository_id <> ? LIMIT 2`, l.blob, l.repository)
		if err != nil {
			return err
		}
	}
	change := by * l.size
	switch len(others) {
	case 0:
		tx.room(l.repository).Unique += change
	case 1: // the other one has been, or is now, alone with it
		tx.room(l.repository).Shared += change
		tx.room(others[0]).Shared += change
		tx.room(others[0]).Unique -= change
	default:
		tx.room(l.repository).Shared += change
	}
	return tx.countUnderQuotas(ctx, l, by)
}

// writeUsage adds what the transaction has counted, as the last it does.
func (tx *Tx) writeUsage(ctx context.Context) error {
	if tx.usage == nil {
		return nil
	}
	all := tx.usage[everywhere]
	delete(tx.usage, everywhere)
	for _, r := range tx.gone {
		delete(tx.usage, r)
	}
	maps.DeleteFunc(tx.usage, func(_ int64, u *registry.Usage) bool { return *u == registry.Usage{} })
	// In order, so that no two transactions wait for each other.
	repositories := slices.Sorted(maps.Keys(tx.usage))
	args := []any{int64(everywhere), all.Unique, int64(0)}
	if len(repositories) > 0 { // in most cases there is one, and one statement will do
		r := repositories[0]
		args = append(args, r, tx.usage[r].Unique, tx.usage[r].Shared)
		repositories = repositories[1:]
	}
	version, err := tx.addUsage(ctx, args)
	if err == nil && version != tx.quotas.version {
		err = errQuotasChanged
	}
	for _, r := range repositories {
		if err == nil {
			_, err = tx.addUsage(ctx, []any{r, tx.usage[r].Unique, tx.usage[r].Shared})
		}
	}
	for _, r := range tx.gone {
		if err == nil {
			_, err = tx.exec(ctx, `DELETE FROM storage_usage WHERE repository_id = ?`, r)
		}
	}
	return err
}

// addUsage adds to counts: args are a repository with its unique and shared bytes, and so
// on. If the registry is among them it answers by which quotas things stand.
func (tx *Tx) addUsage(ctx context.Context, args []any) (version int64, err error) {
	var rows []string
	for i := 0; i < len(args); i += 3 {
		slots := repositorySlots
		if args[i] == int64(everywhere) {
			slots = registrySlots
		}
		rows = append(rows, `(?, `+tx.dialect.slot(slots)+`, ?, ?, 0)`)
	}
	err = tx.run.query(ctx, func(row *sql.Rows) error {
		var quotas int64
		err := row.Scan(&quotas)
		version = max(version, quotas)
		return err
	}, `INSERT INTO storage_usage (repository_id, slot, unique_bytes, shared_bytes, quotas) VALUES `+strings.Join(rows, ", ")+`
		ON CONFLICT (repository_id, slot) DO UPDATE SET unique_bytes = storage_usage.unique_bytes + excluded.unique_bytes,
		shared_bytes = storage_usage.shared_bytes + excluded.shared_bytes RETURNING quotas`, args...)
	return version, err
}

// forgetUsage has the counts of a repository removed whose links are all gone.
func (tx *Tx) forgetUsage(r Repository) {
	tx.room(everywhere) // those of the registry come first
	tx.gone = append(tx.gone, r.ID)
}

// RegistryUsage is how many bytes all blobs have, each counted once.
func (q queries) RegistryUsage(ctx context.Context) (bytes int64, err error) {
	u, err := q.usage(ctx, everywhere)
	return u.Unique, err
}

func (q queries) usage(ctx context.Context, repository int64) (u registry.Usage, err error) {
	err = q.run.get(ctx, `SELECT CAST(COALESCE(SUM(unique_bytes), 0) AS BIGINT), CAST(COALESCE(SUM(shared_bytes), 0) AS BIGINT)
		FROM storage_usage WHERE repository_id = ?`, []any{repository}, &u.Unique, &u.Shared)
	return u, err
}

// RepositoryUsage is how much room a repository takes. Its images are counted one by one.
// Errors: ErrNameUnknown.
func (q queries) RepositoryUsage(ctx context.Context, name registry.Name) (u registry.RepositoryUsage, err error) {
	r, err := q.Repository(ctx, name)
	if err != nil {
		return u, err
	}
	u.Repository = name
	if u.Usage, err = q.usage(ctx, r.ID); err != nil {
		return u, err
	}
	err = q.run.get(ctx, `SELECT COUNT(*) FROM manifests WHERE repository_id = ?`, []any{r.ID}, &u.Images)
	return u, err
}
