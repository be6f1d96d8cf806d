package meta

import (
	"context"
	"database/sql"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
)

// Upload is an upload between two chunks.
type Upload struct {
	ID        registry.UploadID
	Repo      registry.Name
	Key       blob.Key
	Algorithm digest.Algorithm
	Received  int64
	Begun     bool // there is an unfinished object
	Revision  int64
	StartedAt time.Time
	UpdatedAt time.Time
	Note      string // of whoever uploads
}

// UploadState is what it takes to go on with an upload. It may hold some MiB of what
// has arrived, and so is read only by who goes on.
type UploadState struct {
	Content []byte // what has been received, if there is no object
	Hash    []byte // otherwise: of what has been received
	Object  []byte // and that of [blob.Writer.Suspend]
}

const uploadColumns = `id, repository, object_key, algorithm, received, object_state IS NOT NULL, revision, started_at, updated_at, note`

// Upload finds an upload. One of another repository is as unknown as one that never
// was. Errors: ErrUploadUnknown.
func (q queries) Upload(ctx context.Context, repo registry.Name, id registry.UploadID) (Upload, error) {
	found, err := collect(ctx, q.run, scanUpload, `SELECT `+uploadColumns+` FROM uploads
		WHERE id = ? AND repository = ? AND revision >= 0`, string(id), string(repo))
	if err != nil {
		return Upload{}, err
	}
	if len(found) == 0 {
		return Upload{}, registry.ErrUploadUnknown
	}
	return found[0], nil
}

// UploadState returns the state of u, if nobody has changed it since it was read.
// Errors: as AdvanceUpload.
func (q queries) UploadState(ctx context.Context, u Upload) (UploadState, error) {
	var s UploadState
	if u.Received == 0 && !u.Begun {
		return s, nil
	}
	err := q.run.get(ctx, `SELECT content, hash_state, object_state FROM uploads WHERE id = ? AND revision = ?`,
		[]any{string(u.ID), u.Revision}, &s.Content, &s.Hash, &s.Object)
	if isNone(err) {
		err = q.whyStale(ctx, u)
	}
	return s, err
}

// IdleUploads lists, by id, the uploads after last that nothing has been added to since
// before, those that are being removed too. It looks at all uploads, which are few:
// those under way, and those abandoned in the last day. An index by age would be
// written twice in every push.
func (q queries) IdleUploads(ctx context.Context, before time.Time, last registry.UploadID, limit int) ([]Upload, error) {
	return collect(ctx, q.run, scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE updated_at < ? AND id > ? ORDER BY id LIMIT ?`,
		micros(before), string(last), limit)
}

// UploadKeys is the keys of all uploads.
func (q queries) UploadKeys(ctx context.Context) (map[blob.Key]bool, error) {
	keys, err := collect(ctx, q.run, scanOne[blob.Key], `SELECT object_key FROM uploads`)
	known := make(map[blob.Key]bool, len(keys))
	for _, key := range keys {
		known[key] = true
	}
	return known, err
}

func scanUpload(rows *sql.Rows) (u Upload, err error) {
	var started, updated int64
	err = rows.Scan(&u.ID, &u.Repo, &u.Key, &u.Algorithm, &u.Received, &u.Begun, &u.Revision, &started, &updated, &u.Note)
	u.StartedAt, u.UpdatedAt = fromMicros(started), fromMicros(updated)
	return u, err
}

// Closed reports whether the upload is being removed.
func (u Upload) Closed() bool { return u.Revision == closed }

// PutUpload records a new upload, of which nothing has arrived.
func (tx *Tx) PutUpload(ctx context.Context, u Upload) (Upload, error) {
	u.StartedAt, u.UpdatedAt = tx.now, tx.now
	_, err := tx.exec(ctx, `INSERT INTO uploads (id, repository, object_key, algorithm, received, revision, started_at, updated_at)
		VALUES (?, ?, ?, ?, 0, 0, ?, ?)`,
		string(u.ID), string(u.Repo), string(u.Key), string(u.Algorithm), micros(u.StartedAt), micros(u.UpdatedAt))
	return u, err
}

// AdvanceUpload records how far u has come, if nobody else has since u was read.
// Errors: ErrUploadUnknown, ErrRangeInvalid (somebody else has).
func (tx *Tx) AdvanceUpload(ctx context.Context, u Upload, s UploadState) (Upload, error) {
	n, err := tx.exec(ctx, `UPDATE uploads SET received = ?, note = ?, content = ?, hash_state = ?, object_state = ?,
		revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`, u.Received, u.Note, s.Content, s.Hash, s.Object, micros(tx.now), string(u.ID), u.Revision)
	if err == nil && n == 0 {
		err = tx.whyStale(ctx, u)
	}
	u.Begun = s.Object != nil
	u.Revision++
	u.UpdatedAt = tx.now
	return u, err
}

// TouchUpload has u count as one that something was added to just now, if nobody has
// changed it since it was read.
func (db *DB) TouchUpload(ctx context.Context, u Upload) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE uploads SET updated_at = ? WHERE id = ? AND revision = ?`,
			micros(tx.now), string(u.ID), u.Revision)
		return err
	})
}

// ClaimUpload takes u for the one who is about to finish it, if nobody has changed it
// since it was read: others who have read it before are too late.
// Errors: as AdvanceUpload.
func (tx *Tx) ClaimUpload(ctx context.Context, u Upload) (Upload, error) {
	n, err := tx.exec(ctx, `UPDATE uploads SET revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`,
		micros(tx.now), string(u.ID), u.Revision)
	if err == nil && n == 0 {
		err = tx.whyStale(ctx, u)
	}
	u.Revision++
	return u, err
}

// closed is the revision of an upload that is being removed. Nobody goes on with it.
const closed = -1

// CloseUpload makes u unknown, if nobody has changed it since it was read, so that its
// bytes can be removed; the row stays until they are.
// Errors: as AdvanceUpload.
func (tx *Tx) CloseUpload(ctx context.Context, u Upload) (Upload, error) {
	n, err := tx.exec(ctx, `UPDATE uploads SET revision = ? WHERE id = ? AND revision = ?`, closed, string(u.ID), u.Revision)
	if err == nil && n == 0 {
		err = tx.whyStale(ctx, u)
	}
	u.Revision = closed
	return u, err
}

// DeleteUpload removes u, if nobody has changed it since it was read.
// Errors: as AdvanceUpload.
func (tx *Tx) DeleteUpload(ctx context.Context, u Upload) error {
	n, err := tx.exec(ctx, `DELETE FROM uploads WHERE id = ? AND revision = ?`, string(u.ID), u.Revision)
	if err != nil || n == 1 {
		return err
	}
	return tx.whyStale(ctx, u)
}

func (q queries) whyStale(ctx context.Context, u Upload) error {
	if _, err := q.Upload(ctx, u.Repo, u.ID); err != nil {
		return err
	}
	return registry.ErrRangeInvalid.With("another request has written to this upload; ask for its range and go on there")
}
