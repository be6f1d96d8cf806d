package meta

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/gc"
)

var _ gc.Store = (*DB)(nil)

// Now is the time by the clock of the database.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	if db.tests {
		return db.now(), nil
	}
	var us int64
	err := db.run.get(ctx, `SELECT `+db.dialect.clock(), nil, &us)
	return fromMicros(us), err
}

// Sweep implements [gc.Store].
func (db *DB) Sweep(ctx context.Context, before time.Time, limit int) (gc.Swept, error) {
	var s sweep
	err := db.Update(ctx, func(tx *Tx) error {
		s = sweep{tx: tx, before: micros(before)}
		if err := s.links(ctx, limit); err != nil {
			return err
		}
		if err := s.unseen(ctx, limit-s.Candidates); err != nil {
			return err
		}
		if err := s.images(ctx, limit-s.Candidates); err != nil {
			return err
		}
		return tx.DeleteObjects(ctx, s.keys)
	})
	for _, l := range s.named {
		if err == nil {
			err = db.Update(ctx, func(tx *Tx) error { return tx.noGarbage(ctx, l) })
		}
	}
	return s.Swept, err
}

// noGarbage takes back that no manifest names a blob, if one does. It holds on to the
// repository, or the manifest might just be going.
func (tx *Tx) noGarbage(ctx context.Context, l link) error {
	var locked string
	err := tx.run.get(ctx, `SELECT `+tx.dialect.lock("id", false)+` FROM repositories WHERE id = ?`, []any{l.repository}, &locked)
	if isNone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE repository_blobs SET unreferenced_since = NULL WHERE repository_id = ? AND blob_id = ?
		AND EXISTS (SELECT 1 FROM manifest_blobs WHERE repository_id = ? AND digest = ?)`,
		l.repository, l.blob, l.repository, l.digest)
	return err
}

// sweep is one transaction of garbage collection.
type sweep struct {
	gc.Swept
	tx     *Tx
	before int64
	keys   []blob.Key // whose objects go
	busy   []link     // that are gone, of blobs that somebody may come to see
	named  []link     // that are no garbage, it seems
}

// links makes blobs invisible in repositories of which no manifest names them.
func (s *sweep) links(ctx context.Context, limit int) error {
	due, err := collect(ctx, s.tx.run, func(rows *sql.Rows) (l link, err error) {
		return l, rows.Scan(&l.repository, &l.name, &l.blob, &l.digest, &l.size, &l.since)
	}, `SELECT rb.repository_id, r.name, rb.blob_id, b.digest, b.size, rb.unreferenced_since
		FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id JOIN repositories r ON r.id = rb.repository_id
		WHERE rb.unreferenced_since < ? ORDER BY rb.unreferenced_since, rb.repository_id, rb.blob_id LIMIT ?`, s.before, limit)
	if err != nil {
		return err
	}
	names := make([]registry.Name, len(due))
	for i, l := range due {
		names[i] = l.name
	}
	if err := s.tx.holdQuotas(ctx, names...); err != nil {
		return err
	}
	// As others take blobs that take several.
	slices.SortFunc(due, func(a, b link) int {
		return cmp.Or(cmp.Compare(a.digest, b.digest), cmp.Compare(a.repository, b.repository))
	})
	for _, l := range due {
		if err := s.link(ctx, l); err != nil {
			return err
		}
	}
	slices.SortFunc(s.busy, func(a, b link) int { return cmp.Compare(a.digest, b.digest) })
	for _, l := range s.busy {
		if err := s.tx.addCandidate(ctx, l.digest, l.since); err != nil {
			return err
		}
	}
	s.Candidates += len(due)
	return nil
}

// link is the second look at a candidate. On PostgreSQL the row may have changed since the
// first; a manifest that comes to name the blob changes it before anything else.
func (s *sweep) link(ctx context.Context, l link) error {
	var id int64
	err := s.tx.run.get(ctx, `SELECT id FROM blobs WHERE id = ?`+s.tx.dialect.change(), []any{l.blob}, &id)
	if isNone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	removed, err := s.tx.removeLink(ctx, l, ` AND unreferenced_since < ?
		AND NOT EXISTS (SELECT 1 FROM manifest_blobs WHERE repository_id = ? AND digest = ?)`, s.before, l.repository, l.digest)
	if err != nil {
		return err
	}
	if !removed {
		// A manifest that may be incomplete has named the blob before it came, or one names it
		// since we looked.
		s.named = append(s.named, l)
		return nil
	}
	s.Links++
	busy, err := s.blob(ctx, l.blob)
	if busy {
		s.busy = append(s.busy, l)
	}
	return err
}

// unseen removes blobs that no repository sees. It holds on to the candidates: who lets go of
// such a blob once more waits for it, or has changed the candidate, which then is not due.
func (s *sweep) unseen(ctx context.Context, limit int) error {
	if limit <= 0 {
		return nil
	}
	due, err := collect(ctx, s.tx.run, scanOne[string], `SELECT digest FROM gc_candidates WHERE since < ? ORDER BY since, digest LIMIT ?`+
		s.tx.dialect.skipLocked(), s.before, limit)
	if err != nil {
		return err
	}
	for _, d := range due {
		var id int64
		err := s.tx.run.get(ctx, `SELECT id FROM blobs WHERE digest = ?`, []any{d}, &id)
		busy := false
		if err == nil {
			busy, err = s.blob(ctx, id)
		}
		if isNone(err) {
			err = nil
		}
		if err == nil && !busy {
			_, err = s.tx.exec(ctx, `DELETE FROM gc_candidates WHERE digest = ?`, d)
		}
		if err != nil {
			return err
		}
	}
	s.Candidates += len(due)
	return nil
}

// blob removes a blob unless a repository sees it. busy reports that one may come to see it
// just now.
func (s *sweep) blob(ctx context.Context, id int64) (busy bool, err error) {
	var place string
	var size int64
	// Who makes a blob visible holds on to its row. Once it is ours, nobody does, and the
	// next statement sees what they have done.
	err = s.tx.run.get(ctx, `SELECT object_key, size FROM blobs WHERE id = ?`+s.tx.dialect.skipLocked(), []any{id}, &place, &size)
	if isNone(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	seen, err := s.tx.exists(ctx, `SELECT 1 FROM repository_blobs WHERE blob_id = ? LIMIT 1`, id)
	if err != nil || seen {
		return false, err
	}
	if _, err := s.tx.exec(ctx, `DELETE FROM blobs WHERE id = ?`, id); err != nil {
		return false, err
	}
	var b Blob
	if b.setPlace(place); b.Key != "" {
		s.keys = append(s.keys, b.Key)
	}
	s.tx.countBlob(-size)
	s.Blobs++
	s.Bytes += size
	return false, nil
}

// addCandidate notes that a blob which no repository may see any more becomes garbage. Of
// several times the last counts.
func (tx *Tx) addCandidate(ctx context.Context, d string, since int64) error {
	_, err := tx.exec(ctx, `INSERT INTO gc_candidates (digest, since) VALUES (?, ?)
		ON CONFLICT (digest) DO UPDATE SET since = excluded.since WHERE gc_candidates.since < excluded.since`, d, since)
	return err
}

// KeepBlob has a blob that no manifest of a repository names count as one that was made
// visible just now. Errors: ErrNameUnknown, ErrBlobUnknown.
func (tx *Tx) KeepBlob(ctx context.Context, repo registry.Name, d digest.Digest) error {
	_, err := tx.exec(ctx, `UPDATE repository_blobs SET unreferenced_since = ?
		WHERE repository_id = (SELECT id FROM repositories WHERE name = ?) AND blob_id = (SELECT id FROM blobs WHERE digest = ?)
		AND unreferenced_since IS NOT NULL`, micros(tx.now), string(repo), string(d))
	if err == nil {
		_, err = tx.Blob(ctx, repo, d) // it may have gone
	}
	return err
}

// GarbageCandidates lists up to limit of what becomes garbage, or is, the oldest first.
func (q queries) GarbageCandidates(ctx context.Context, limit int) ([]gc.Candidate, error) {
	scan := func(rows *sql.Rows) (c gc.Candidate, err error) {
		var since int64
		err = rows.Scan(&c.Repository, &c.Digest, &c.Size, &since)
		c.Since = fromMicros(since)
		return c, err
	}
	seen, err := collect(ctx, q.run, scan, `SELECT r.name, b.digest, b.size, rb.unreferenced_since
		FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id JOIN repositories r ON r.id = rb.repository_id
		WHERE rb.unreferenced_since IS NOT NULL ORDER BY rb.unreferenced_since, rb.repository_id, rb.blob_id LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	unseen, err := collect(ctx, q.run, scan, `SELECT '', c.digest, b.size, c.since FROM gc_candidates c JOIN blobs b ON b.digest = c.digest
		WHERE NOT EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.blob_id = b.id) ORDER BY c.since, c.digest LIMIT ?`, limit)
	all := append(seen, unseen...)
	slices.SortStableFunc(all, func(a, b gc.Candidate) int { return a.Since.Compare(b.Since) })
	return all[:min(limit, len(all))], err
}
