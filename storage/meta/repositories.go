package meta

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"berth/registry"
)

// Repository is a repository as it stands in the database.
type Repository struct {
	ID int64
	registry.Repository
}

const repositoryColumns = `id, name, created_at, mutability, mutability_exclusions, scan_on_push, encryption, resource_tags`

// repositoryRow is the columns of a row.
type repositoryRow struct {
	id                             int64
	name                           registry.Name
	created                        int64
	mode                           registry.TagMode
	exclusions, encryption, labels string
	scan                           bool
}

func (row *repositoryRow) dest() []any {
	return []any{&row.id, &row.name, &row.created, &row.mode, &row.exclusions, &row.scan, &row.encryption, &row.labels}
}

func (row *repositoryRow) repository() (Repository, error) {
	s := registry.Settings{Mutability: registry.Mutability{Mode: row.mode}, ScanOnPush: row.scan}
	err := errors.Join(
		fromJSON(row.exclusions, &s.Mutability.Exclusions),
		fromJSON(row.encryption, &s.Encryption),
		fromJSON(row.labels, &s.ResourceTags))
	return Repository{row.id, registry.Repository{Name: row.name, CreatedAt: fromMicros(row.created), Settings: s}}, err
}

func scanRepository(rows *sql.Rows) (registry.Repository, error) {
	var row repositoryRow
	if err := rows.Scan(row.dest()...); err != nil {
		return registry.Repository{}, err
	}
	r, err := row.repository()
	return r.Repository, err
}

// toJSON is v as it is kept: nothing if it is empty.
func toJSON(v any, empty bool) (string, error) {
	if empty {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// fromJSON reads what toJSON has written.
func fromJSON(text string, v any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), v)
}

// Repository finds a repository. Errors: ErrNameUnknown.
func (q queries) Repository(ctx context.Context, name registry.Name) (Repository, error) {
	r, _, err := q.repository(ctx, name, "TRUE")
	return r, err
}

// repository finds a repository, and what an expression comes to that locks it.
func (q queries) repository(ctx context.Context, name registry.Name, lock string) (r Repository, locked bool, err error) {
	var row repositoryRow
	err = q.run.get(ctx, `SELECT `+repositoryColumns+`, `+lock+` FROM repositories WHERE name = ?`, []any{string(name)},
		append(row.dest(), &locked)...)
	if isNone(err) {
		return r, false, nameUnknown(name)
	}
	if err != nil {
		return r, false, err
	}
	r, err = row.repository()
	return r, locked, err
}

func nameUnknown(name registry.Name) error {
	return registry.ErrNameUnknown.With("repository %q does not exist", name)
}

// Repository finds a repository to which something is added: what is there stays
// until the transaction ends. Errors: ErrNameUnknown.
func (tx *Tx) Repository(ctx context.Context, name registry.Name) (Repository, error) {
	r, locked, err := tx.repository(ctx, name, tx.dialect.tryLock("id"))
	if err != nil || locked {
		return r, err
	}
	return tx.lockRepository(ctx, name, false)
}

// LockRepository finds a repository from which something is taken away: nobody else
// changes what it holds until the transaction ends. Errors: ErrNameUnknown.
func (tx *Tx) LockRepository(ctx context.Context, name registry.Name) (Repository, error) {
	return tx.lockRepository(ctx, name, true)
}

// lockRepository reads the row when the lock is ours: who had it before may have changed the
// row, or removed it.
func (tx *Tx) lockRepository(ctx context.Context, name registry.Name, alone bool) (Repository, error) {
	for {
		var id int64
		var locked string
		err := tx.run.get(ctx, `SELECT id, `+tx.dialect.lock("id", alone)+` FROM repositories WHERE name = ?`, []any{string(name)}, &id, &locked)
		if isNone(err) {
			return Repository{}, nameUnknown(name)
		}
		if err != nil {
			return Repository{}, err
		}
		r, _, err := tx.repository(ctx, name, "TRUE")
		if err != nil || r.ID == id {
			return r, err
		} // else it has been made anew meanwhile
	}
}

// Repositories lists names after last.
func (q queries) Repositories(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	return collect(ctx, q.run, scanOne[registry.Name], `SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?`, string(last), limit)
}

// DescribeRepositories describes the repositories after last, by name.
func (q queries) DescribeRepositories(ctx context.Context, last registry.Name, limit int) ([]registry.Repository, error) {
	return collect(ctx, q.run, scanRepository, `SELECT `+repositoryColumns+` FROM repositories WHERE name > ? ORDER BY name LIMIT ?`,
		string(last), limit)
}

// CreateRepository makes a repository, unless it is there: then it is found, and not locked.
func (tx *Tx) CreateRepository(ctx context.Context, name registry.Name, s registry.Settings) (r Repository, created bool, err error) {
	exclusions, encryption, labels, err := settingsColumns(s)
	if err != nil {
		return r, false, err
	}
	for {
		n, err := tx.exec(ctx, `INSERT INTO repositories
			(name, created_at, mutability, mutability_exclusions, scan_on_push, encryption, resource_tags) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO NOTHING`,
			string(name), micros(tx.now), string(modeOf(s)), exclusions, s.ScanOnPush, encryption, labels)
		if err != nil {
			return r, false, err
		}
		r, err = tx.queries.Repository(ctx, name) // of one that is new nobody else knows
		if n == 1 || !errors.Is(err, registry.ErrNameUnknown) {
			return r, n == 1, err
		} // else it was there, and has been deleted since
	}
}

// PutSettings replaces the settings of a repository.
func (tx *Tx) PutSettings(ctx context.Context, r Repository, s registry.Settings) error {
	exclusions, encryption, labels, err := settingsColumns(s)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE repositories SET mutability = ?, mutability_exclusions = ?, scan_on_push = ?, encryption = ?,
		resource_tags = ? WHERE id = ?`, string(modeOf(s)), exclusions, s.ScanOnPush, encryption, labels, r.ID)
	return err
}

func modeOf(s registry.Settings) registry.TagMode {
	if s.Mutability.Mode == "" {
		return registry.Mutable
	}
	return s.Mutability.Mode
}

func settingsColumns(s registry.Settings) (exclusions, encryption, labels string, err error) {
	var errs [3]error
	exclusions, errs[0] = toJSON(s.Mutability.Exclusions, len(s.Mutability.Exclusions) == 0)
	encryption, errs[1] = toJSON(s.Encryption, s.Encryption == registry.Encryption{})
	labels, errs[2] = toJSON(s.ResourceTags, len(s.ResourceTags) == 0)
	return exclusions, encryption, labels, errors.Join(errs[:]...)
}

// RepositoryPolicy returns who may use a repository, empty if nothing was said.
func (q queries) RepositoryPolicy(ctx context.Context, r Repository) (policy string, err error) {
	err = q.run.get(ctx, `SELECT policy FROM repositories WHERE id = ?`, []any{r.ID}, &policy)
	return policy, err
}

// PutRepositoryPolicy says who may use a repository. Empty says nothing.
func (tx *Tx) PutRepositoryPolicy(ctx context.Context, r Repository, policy string) error {
	_, err := tx.exec(ctx, `UPDATE repositories SET policy = ? WHERE id = ?`, policy, r.ID)
	return err
}

// LifecyclePolicy returns what becomes of the images of a repository, without text if
// nothing was said.
func (q queries) LifecyclePolicy(ctx context.Context, r Repository) (registry.LifecyclePolicy, error) {
	var text string
	var evaluated *int64
	err := q.run.get(ctx, `SELECT lifecycle_policy, lifecycle_evaluated_at FROM repositories WHERE id = ?`, []any{r.ID}, &text, &evaluated)
	p := registry.LifecyclePolicy{EvaluatedAt: optionalTime(evaluated)}
	if text != "" {
		p.Text = json.RawMessage(text)
	}
	return p, err
}

// PutLifecyclePolicy says what becomes of the images of a repository, and has it done. Empty
// says nothing.
func (tx *Tx) PutLifecyclePolicy(ctx context.Context, r Repository, text string) error {
	var due any
	if text != "" {
		due = micros(tx.now)
	}
	_, err := tx.exec(ctx, `UPDATE repositories SET lifecycle_policy = ?, lifecycle_evaluated_at = NULL, lifecycle_due_at = ? WHERE id = ?`,
		text, due, r.ID)
	if err != nil || text == "" {
		return err
	}
	return tx.enqueueRun(ctx, r.Name)
}

// DeleteRepository removes a repository from which all manifests have been
// deleted, together with its links to blobs. limit bounds the links that go in one
// transaction; it reports whether everything is gone. Errors: ErrNotEmpty.
func (tx *Tx) DeleteRepository(ctx context.Context, r Repository, limit int) (done bool, err error) {
	// In order, or PostgreSQL reads through the whole table for a repository that had
	// most of the manifests when it last counted.
	holds, err := tx.exists(ctx, `SELECT 1 FROM manifests WHERE repository_id = ? ORDER BY digest LIMIT 1`, r.ID)
	if err == nil && holds {
		err = registry.ErrNotEmpty.With("repository %q still holds images", r.Name)
	}
	if err != nil {
		return false, err
	}
	linked, err := collect(ctx, tx.run, scanOne[string], `SELECT b.digest FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id
		WHERE rb.repository_id = ? ORDER BY rb.blob_id LIMIT ?`, r.ID, limit)
	if err != nil {
		return false, err
	}
	slices.Sort(linked) // as garbage collection takes them
	for _, d := range linked {
		if err := tx.unlinkBlob(ctx, r, d); err != nil {
			return false, err
		}
	}
	for _, d := range linked {
		if err := tx.addCandidate(ctx, d, micros(tx.now)); err != nil {
			return false, err
		}
	}
	if len(linked) == limit {
		return false, nil
	}
	tx.forgetUsage(r)
	if err := errors.Join(tx.dropPreview(ctx, r), tx.dropRun(ctx, r), tx.dropTrend(ctx, r)); err != nil {
		return false, err
	}
	_, err = tx.exec(ctx, `DELETE FROM repositories WHERE id = ?`, r.ID)
	return err == nil, err
}
