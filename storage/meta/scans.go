package meta

import (
	"context"
	"database/sql"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/storage/queue"
)

var _ scan.Store = (*DB)(nil)

// ScanRequested reports whether somebody has wanted an image of a repository to be scanned.
func (q queries) ScanRequested(ctx context.Context, r Repository, d digest.Digest) (bool, error) {
	return q.exists(ctx, `SELECT 1 FROM scans WHERE repository_id = ? AND digest = ?`, r.ID, string(d))
}

// RequestScan has an image scanned that is in the repository. A job is added unless the image
// has findings from the present database and is not to be scanned again.
func (tx *Tx) RequestScan(ctx context.Context, r Repository, q scan.Request) error {
	_, err := tx.exec(ctx, `INSERT INTO scans (repository_id, digest, cause, requested_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (repository_id, digest) DO UPDATE SET cause = excluded.cause, requested_at = excluded.requested_at`,
		r.ID, string(q.Digest), string(q.Cause), micros(tx.now))
	if err != nil || q.Kind == scan.IndexManifest {
		return err
	}
	status := scan.Pending
	if q.Kind == scan.ArtifactManifest {
		status = scan.Unsupported
	}
	for {
		n, err := tx.exec(ctx, `INSERT INTO scan_reports
			(digest, status, reason, scanner, os, packages, counts, blocking, database, tried, created_at)
			VALUES (?, ?, '', '', '', 0, '', '', '', '', ?) ON CONFLICT (digest) DO NOTHING`,
			string(q.Digest), string(status), micros(tx.now))
		if err != nil || n == 1 && status == scan.Unsupported {
			return err
		}
		if n == 1 {
			return tx.enqueueScan(ctx, scan.ScanJob, q.Digest)
		}
		known, err := tx.rescan(ctx, q, status)
		if err != nil || known {
			return err
		} // else it has been forgotten just now
	}
}

// rescan is RequestScan of an image of which something is known, unless known is false.
func (tx *Tx) rescan(ctx context.Context, q scan.Request, status scan.Status) (known bool, err error) {
	var was scan.Status
	var database string
	err = tx.run.get(ctx, `SELECT status, database FROM scan_reports WHERE digest = ?`+tx.dialect.keep(), []any{string(q.Digest)}, &was, &database)
	switch {
	case isNone(err):
		return false, nil
	case err != nil || status == scan.Unsupported || was == scan.Unsupported && !q.Again:
		return true, err
	case was == scan.Complete && !q.Again:
		present, err := tx.presentDatabase(ctx)
		if err != nil || present == "" || present == database {
			return true, err
		}
	}
	if was != scan.Pending || q.Anew {
		_, err = tx.exec(ctx, `UPDATE scan_reports SET status = ?, reason = '', anew = anew OR ? WHERE digest = ?`,
			string(scan.Pending), q.Anew, string(q.Digest))
		if err != nil {
			return true, err
		}
	}
	// One that is being scanned is scanned once more: the worker may have been told already
	// that nobody wants that any longer.
	return true, tx.enqueueScan(ctx, scan.ScanJob, q.Digest)
}

// enqueueScan adds a job of a kind about an image.
func (tx *Tx) enqueueScan(ctx context.Context, kind string, d digest.Digest) error {
	return tx.Enqueue(ctx, queue.NewJob{Kind: kind, Key: string(d), Payload: scan.JobPayload{Digest: d}})
}

// presentDatabase is the digest of the vulnerability database, empty if there is none.
func (q queries) presentDatabase(ctx context.Context) (d string, err error) {
	err = q.run.get(ctx, `SELECT digest FROM vulnerability_databases WHERE kind = ?`, []any{string(scan.Vulnerabilities)}, &d)
	if isNone(err) {
		return "", nil
	}
	return d, err
}

// RequestScans implements [scan.Store].
func (db *DB) RequestScans(ctx context.Context, repo registry.Name, requests []scan.Request) error {
	return db.Update(ctx, func(tx *Tx) error {
		r, err := tx.Repository(ctx, repo)
		if err != nil {
			return err
		}
		var left int // those that are archived
		for _, q := range requests {
			var archived bool
			err := tx.run.get(ctx, `SELECT archived FROM manifests WHERE repository_id = ? AND digest = ?`, []any{r.ID, string(q.Digest)}, &archived)
			switch {
			case isNone(err):
				continue
			case err == nil && archived:
				left++ // an index may list such
			case err == nil:
				err = tx.RequestScan(ctx, r, q)
			}
			if err != nil {
				return err
			}
		}
		if left > 0 && left == len(requests) {
			return scan.ErrArchived
		}
		return nil
	})
}

// dropScan forgets that somebody wanted an image of a repository to be scanned.
func (tx *Tx) dropScan(ctx context.Context, r Repository, d digest.Digest) error {
	_, err := tx.exec(ctx, `DELETE FROM scans WHERE repository_id = ? AND digest = ?`, r.ID, string(d))
	return err
}

// ScanStates implements [scan.Store].
func (db *DB) ScanStates(ctx context.Context, repo registry.Name, images []digest.Digest) ([]scan.State, error) {
	r, err := db.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	var all []scan.State
	err = inPortions(images, func(list string, args []any) error {
		states, err := collect(ctx, db.run, scanState, `SELECT m.digest, m.media_type, m.archived, coalesce(s.cause, ''), s.requested_at,
			coalesce(r.status, ''), coalesce(r.reason, ''), coalesce(r.scanner, ''), coalesce(r.os, ''), coalesce(r.packages, 0), r.inventory_at,
			coalesce(r.counts, ''), coalesce(r.blocking, ''), coalesce(r.database, ''), r.database_at, r.matched_at, coalesce(r.anew, FALSE),
			r.status = 'PENDING' AND EXISTS (SELECT 1 FROM jobs j
				WHERE j.kind = '`+scan.ScanJob+`' AND j.job_key = m.digest AND j.state = 'leased' AND j.due_at > `+db.dialect.clock()+`),
			CASE WHEN r.status = 'PENDING' THEN (SELECT j.reason FROM jobs j
				WHERE j.kind = '`+scan.ScanJob+`' AND j.job_key = m.digest AND j.state = 'waiting') END
			FROM manifests m
			LEFT JOIN scans s ON s.repository_id = m.repository_id AND s.digest = m.digest
			LEFT JOIN scan_reports r ON r.digest = m.digest
			WHERE m.repository_id = ? AND m.digest IN (`+list+`)`, append([]any{r.ID}, args...)...)
		all = append(all, states...)
		return err
	})
	return all, err
}

func scanState(rows *sql.Rows) (s scan.State, err error) {
	var requested *int64
	var leased *bool
	var trouble *string
	var row summaryRow
	err = rows.Scan(append(append([]any{&s.Digest, &s.MediaType, &s.Archived, &s.Cause, &requested}, row.dest()...), &leased, &trouble)...)
	if err != nil {
		return s, err
	}
	d := s.Digest
	if s.Summary, err = row.summary(d); err != nil {
		return s, err
	}
	s.RequestedAt, s.Leased = optionalTime(requested), leased != nil && *leased
	if trouble != nil {
		s.Trouble = *trouble
	}
	return s, nil
}

// ScanManifests implements [scan.Store].
func (db *DB) ScanManifests(ctx context.Context, repo registry.Name, images []digest.Digest) ([]registry.Manifest, error) {
	r, err := db.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	return db.ManifestsOf(ctx, r, images)
}

// ManifestsOf returns some manifests of a repository, archived or not, leaving out those that
// are not there.
func (q queries) ManifestsOf(ctx context.Context, r Repository, images []digest.Digest) (all []registry.Manifest, err error) {
	err = inPortions(images, func(list string, args []any) error {
		found, err := collect(ctx, q.run, func(rows *sql.Rows) (m registry.Manifest, err error) {
			return m, rows.Scan(&m.Digest, &m.MediaType, &m.Bytes)
		}, `SELECT m.digest, m.media_type, p.payload FROM manifests m JOIN manifest_payloads p ON p.digest = m.digest
			WHERE m.repository_id = ? AND m.digest IN (`+list+`)`, append([]any{r.ID}, args...)...)
		all = append(all, found...)
		return err
	})
	return all, err
}

// ScanRepository implements [scan.Store].
func (db *DB) ScanRepository(ctx context.Context, d digest.Digest) (repo registry.Name, err error) {
	err = db.run.get(ctx, `SELECT r.name FROM scans s JOIN manifests m ON m.repository_id = s.repository_id AND m.digest = s.digest AND NOT m.archived
		JOIN repositories r ON r.id = s.repository_id WHERE s.digest = ? ORDER BY s.repository_id LIMIT 1`, []any{string(d)}, &repo)
	if isNone(err) {
		err = registry.ErrManifestUnknown.With("no repository has %s and wants it to be scanned", d)
	}
	return repo, err
}

// LeasedScan implements [scan.Store].
func (db *DB) LeasedScan(ctx context.Context, id, lease int64) (queue.Job, error) {
	found, err := collect(ctx, db.run, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE id = ? AND lease = ? AND state = 'leased' AND kind IN (?, ?)`,
		id, lease, scan.ScanJob, scan.MatchJob)
	if err == nil && len(found) == 0 {
		err = queue.ErrLeaseLost
	}
	if err != nil {
		return queue.Job{}, err
	}
	found[0].Lease = lease
	return found[0], nil
}
