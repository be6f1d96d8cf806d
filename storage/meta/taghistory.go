package meta

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/gc"
)

// noteTag records that a tag points elsewhere from now on.
func (tx *Tx) noteTag(ctx context.Context, r Repository, t registry.Tag, was, now digest.Digest) error {
	cause := registry.CauseFrom(ctx)
	_, err := tx.exec(ctx, `INSERT INTO tag_history (repository, tag, was, digest, changed_at, changed_by, reason) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		string(r.Name), string(t), string(was), string(now), micros(tx.now), cause.By, cause.Why)
	return err
}

// noteTagsGone records that the tags of a manifest go with it.
func (tx *Tx) noteTagsGone(ctx context.Context, r Repository, manifestID int64, was digest.Digest) error {
	cause := registry.CauseFrom(ctx)
	_, err := tx.exec(ctx, `INSERT INTO tag_history (repository, tag, was, digest, changed_at, changed_by, reason)
		SELECT ?, name, ?, '', ?, ?, ? FROM tags WHERE manifest_id = ?`,
		string(r.Name), string(was), micros(tx.now), cause.By, cmp.Or(cause.Why, "the image was deleted"), manifestID)
	return err
}

const tagChange = `SELECT id, tag, was, digest, changed_at, changed_by, reason FROM tag_history WHERE repository = ?`

func scanTagChange(rows *sql.Rows) (c registry.TagChange, err error) {
	var at int64
	err = rows.Scan(&c.ID, &c.Tag, &c.Was, &c.Digest, &at, &c.By, &c.Why)
	c.At = fromMicros(at)
	return c, err
}

// TagHistory lists how the tags of a repository have moved, the newest change first.
func (q queries) TagHistory(ctx context.Context, repo registry.Name, find registry.TagHistoryQuery) ([]registry.TagChange, error) {
	before := cmp.Or(find.Last, math.MaxInt64)
	if find.Tag == "" {
		return collect(ctx, q.run, scanTagChange, tagChange+` AND id < ? ORDER BY id DESC LIMIT ?`, string(repo), before, find.Limit)
	}
	return collect(ctx, q.run, scanTagChange, tagChange+` AND tag = ? AND id < ? ORDER BY id DESC LIMIT ?`,
		string(repo), string(find.Tag), before, find.Limit)
}

// TagAt finds the change since which a tag pointed at what it pointed at at a time. If no change is
// so old, it is where the first one took it from; and if there is none, where it points now.
// Errors: ErrManifestUnknown.
func (q queries) TagAt(ctx context.Context, repo registry.Name, t registry.Tag, at time.Time) (registry.TagChange, error) {
	found, err := collect(ctx, q.run, scanTagChange, tagChange+` AND tag = ? AND changed_at <= ? ORDER BY id DESC LIMIT 1`,
		string(repo), string(t), micros(at))
	if err == nil && len(found) == 0 {
		found, err = q.firstTarget(ctx, repo, t)
	}
	if err != nil {
		return registry.TagChange{}, err
	}
	if found[0].Digest == "" {
		return found[0], registry.ErrManifestUnknown.With("repository %q had no tag %q at %s", repo, t, at.UTC().Format(time.RFC3339))
	}
	return found[0], nil
}

// firstTarget is where a tag pointed before all changes that are known.
func (q queries) firstTarget(ctx context.Context, repo registry.Name, t registry.Tag) ([]registry.TagChange, error) {
	found, err := collect(ctx, q.run, scanTagChange, tagChange+` AND tag = ? ORDER BY id LIMIT 1`, string(repo), string(t))
	if err != nil {
		return nil, err
	}
	first := registry.TagChange{Tag: t}
	if len(found) > 0 {
		first.Digest = found[0].Was
		return []registry.TagChange{first}, nil
	}
	r, err := q.Repository(ctx, repo)
	if err == nil {
		first.Digest, err = q.TagDigest(ctx, r, t)
	}
	return []registry.TagChange{first}, err
}

// TagBefore finds the last image that a tag pointed at, other than now.
// Errors: ErrManifestUnknown.
func (q queries) TagBefore(ctx context.Context, repo registry.Name, t registry.Tag, now digest.Digest) (d digest.Digest, err error) {
	err = q.run.get(ctx, `SELECT was FROM tag_history WHERE repository = ? AND tag = ? AND was <> '' AND was <> ? ORDER BY id DESC LIMIT 1`,
		[]any{string(repo), string(t), string(now)}, &d)
	if isNone(err) {
		err = registry.ErrManifestUnknown.With("nothing is known that the tag %q of repository %q pointed at before", t, repo)
	}
	return d, err
}

// ForgetTagChanges implements [gc.Store]. Changes are noted one after the other, so that the
// oldest are those with the lowest id.
func (db *DB) ForgetTagChanges(ctx context.Context, before time.Time, limit int) (gc.Swept, error) {
	type change struct{ id, at int64 }
	oldest, err := collect(ctx, db.run, func(rows *sql.Rows) (c change, err error) {
		return c, rows.Scan(&c.id, &c.at)
	}, `SELECT id, changed_at FROM tag_history WHERE id > 0 ORDER BY id LIMIT ?`, limit)
	due := 0
	for due < len(oldest) && oldest[due].at < micros(before) {
		due++
	}
	if err != nil || due == 0 {
		return gc.Swept{}, err
	}
	err = db.Update(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM tag_history WHERE id <= ?`, oldest[due-1].id)
		return err
	})
	return gc.Swept{Candidates: due, TagChanges: due}, err
}
