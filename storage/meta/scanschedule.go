package meta

import (
	"context"
	"database/sql"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/scan"
	"berth/storage/queue"
)

// jobless is the condition that there is no job about the image of a report r.
const jobless = `NOT EXISTS (SELECT 1 FROM jobs j WHERE j.kind = '` + scan.ScanJob + `' AND j.job_key = r.digest AND j.state = 'waiting')
	AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.kind = '` + scan.ScanJob + `' AND j.job_key = r.digest AND j.state = 'leased')
	AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.kind = '` + scan.MatchJob + `' AND j.job_key = r.digest AND j.state = 'waiting')
	AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.kind = '` + scan.MatchJob + `' AND j.job_key = r.digest AND j.state = 'leased')`

// wantedAnywhere begins a question for a repository in which the image of a report r is
// wanted to be scanned, and from which it can be pulled.
const wantedAnywhere = `SELECT 1 FROM scans s JOIN manifests m ON m.repository_id = s.repository_id AND m.digest = s.digest AND NOT m.archived
	WHERE s.digest = r.digest`

// looked is an image that a walk has come by, and whether it is to have a job.
type looked struct {
	digest   digest.Digest
	database string
	due      bool
}

func scanLooked(rows *sql.Rows) (l looked, err error) {
	var due *bool
	err = rows.Scan(&l.digest, &l.database, &due)
	l.due = due != nil && *due
	return l, err
}

// SchedulePending implements [scan.Store].
func (db *DB) SchedulePending(ctx context.Context, after scan.Position, limit int) (int, scan.Position, error) {
	after.Status = scan.Pending
	return db.scheduleScans(ctx, scan.ScanJob, limit, after, `SELECT r.digest, r.database,
		(r.inventory_at IS NULL OR r.anew OR EXISTS (SELECT 1 FROM vulnerability_databases d WHERE d.kind = '`+string(scan.Vulnerabilities)+`'))
			AND `+jobless+` AND EXISTS (`+wantedAnywhere+`)
		FROM scan_reports r WHERE r.status = ? AND (r.database, r.digest) > (?, ?) ORDER BY r.database, r.digest LIMIT ?`,
		string(scan.Pending), string(after.Database), string(after.Digest), limit)
}

// ScheduleMatches implements [scan.Store]. Those whose scan has failed after the first step
// come after those that are complete.
func (db *DB) ScheduleMatches(ctx context.Context, present scan.Database, since time.Time, after scan.Position, limit int) (added int, last scan.Position, err error) {
	if after.Status == "" {
		after.Status = scan.Complete
	}
	added, last, err = db.scheduleScans(ctx, scan.MatchJob, limit, after, `SELECT r.digest, r.database,
		r.inventory_at IS NOT NULL AND r.tried <> ? AND `+jobless+` AND EXISTS (`+wantedAnywhere+`
			AND (s.requested_at > ? OR m.pushed_at > ? OR m.last_pulled_at > ? OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
			OR EXISTS (SELECT 1 FROM manifest_children e JOIN tags t ON t.manifest_id = e.manifest_id
				WHERE e.repository_id = m.repository_id AND e.digest = m.digest)))
		FROM scan_reports r WHERE r.status = ? AND (r.database, r.digest) > (?, ?) AND r.database <> ?
		ORDER BY r.database, r.digest LIMIT ?`,
		string(present.Digest), micros(since), micros(since), micros(since), string(after.Status), string(after.Database), string(after.Digest),
		string(present.Digest), limit)
	if err == nil && last == (scan.Position{}) && after.Status == scan.Complete {
		last = scan.Position{Status: scan.Failed}
	}
	return added, last, err
}

// scheduleScans adds jobs for those of the images that a query comes by which are due.
func (db *DB) scheduleScans(ctx context.Context, kind string, limit int, after scan.Position, query string, args ...any) (added int, last scan.Position, err error) {
	err = db.UpdateRelaxed(ctx, func(tx *Tx) error {
		added, last = 0, scan.Position{}
		page, err := collect(ctx, tx.run, scanLooked, query, args...)
		if err != nil {
			return err
		}
		for _, l := range page {
			if !l.due {
				continue
			}
			if err := tx.enqueueScan(ctx, kind, l.digest); err != nil {
				return err
			}
			added++
		}
		if len(page) == limit {
			end := page[limit-1]
			last = scan.Position{Status: after.Status, Database: digest.Digest(end.database), Digest: end.digest}
		}
		return nil
	})
	return added, last, err
}

// CountWaitingJobs implements [scan.Store].
func (db *DB) CountWaitingJobs(ctx context.Context, kind string, limit int) (n int, err error) {
	err = db.run.get(ctx, `SELECT count(*) FROM (SELECT 1 FROM jobs WHERE kind = ? AND state <> 'failed' LIMIT ?) waiting`, []any{kind, limit}, &n)
	return n, err
}

// CountScans implements [scan.Store]. It walks through the index of statuses.
func (db *DB) CountScans(ctx context.Context, present digest.Digest) (scan.Totals, error) {
	t := scan.Totals{Statuses: map[scan.Status]int{}}
	err := db.run.query(ctx, func(rows *sql.Rows) error {
		var status scan.Status
		var database string
		var n int
		err := rows.Scan(&status, &database, &n)
		t.Statuses[status] += n
		switch {
		case database == "":
		case database == string(present):
			t.Current += n
		default:
			t.Outdated += n
		}
		return err
	}, `SELECT status, database, count(*) FROM scan_reports GROUP BY status, database`)
	if err != nil {
		return t, err
	}
	err = db.run.query(ctx, func(rows *sql.Rows) error {
		var state queue.State
		var n int
		err := rows.Scan(&state, &n)
		switch state {
		case queue.Leased:
			t.Scanning += n
		case queue.Waiting:
			t.Waiting += n
		}
		return err
	}, `SELECT state, count(*) FROM jobs WHERE kind IN (?, ?) AND state <> 'failed' GROUP BY state`, scan.ScanJob, scan.MatchJob)
	return t, err
}

// ForgetScans implements [scan.Store].
func (db *DB) ForgetScans(ctx context.Context, after digest.Digest, limit int) (forgotten int, last digest.Digest, err error) {
	err = db.UpdateRelaxed(ctx, func(tx *Tx) error {
		forgotten, last = 0, ""
		page, err := collect(ctx, tx.run, scanLooked, `SELECT r.digest, r.database, NOT EXISTS (SELECT 1 FROM scans s WHERE s.digest = r.digest)
			FROM scan_reports r WHERE r.digest > ? ORDER BY r.digest LIMIT ?`, string(after), limit)
		if err != nil {
			return err
		}
		for _, l := range page {
			if !l.due {
				continue
			}
			gone, err := tx.forgetScan(ctx, l.digest)
			if err != nil {
				return err
			}
			if gone {
				forgotten++
			}
		}
		if len(page) == limit {
			last = page[limit-1].digest
		}
		return nil
	})
	return forgotten, last, err
}

// forgetScan removes what is known of an image that nobody wants to be scanned. On PostgreSQL
// somebody may have come to want it since we looked: who does holds the row, see rescan. One
// who still does is in nobody's way.
func (tx *Tx) forgetScan(ctx context.Context, d digest.Digest) (gone bool, err error) {
	var held string
	err = tx.run.get(ctx, `SELECT digest FROM scan_reports WHERE digest = ?`+tx.dialect.skipLocked(), []any{string(d)}, &held)
	if isNone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := tx.exec(ctx, `DELETE FROM scan_reports WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM scans s WHERE s.digest = ?)`, string(d), string(d))
	if err != nil || n == 0 {
		return false, err
	}
	for _, query := range []string{`DELETE FROM scan_inventories WHERE digest = ?`, `DELETE FROM scan_findings WHERE digest = ?`} {
		if _, err := tx.exec(ctx, query, string(d)); err != nil {
			return false, err
		}
	}
	return true, nil
}
