package meta

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/scan"
	"berth/storage/queue"
)

// summaryColumns are those of a report r.
const summaryColumns = `status, reason, scanner, os, packages, inventory_at, counts, blocking, database, database_at, matched_at, anew`

// summaryRow is the columns of a report.
type summaryRow struct {
	status                             scan.Status
	reason, scanner, os                string
	packages                           int
	counts, blocking, database         string
	inventoryAt, databaseAt, matchedAt *int64
	anew                               bool
}

func (row *summaryRow) dest() []any {
	return []any{
		&row.status, &row.reason, &row.scanner, &row.os, &row.packages, &row.inventoryAt, &row.counts, &row.blocking,
		&row.database, &row.databaseAt, &row.matchedAt, &row.anew,
	}
}

func (row *summaryRow) summary(d digest.Digest) (scan.Summary, error) {
	s := scan.Summary{
		Digest: d, Status: row.status, Reason: row.reason, Scanner: row.scanner, OS: row.os, Packages: row.packages,
		InventoryAt: optionalTime(row.inventoryAt), Anew: row.anew, Database: digest.Digest(row.database),
		DatabaseAt: optionalTime(row.databaseAt), MatchedAt: optionalTime(row.matchedAt),
	}
	return s, errors.Join(fromJSON(row.counts, &s.Counts), fromJSON(row.blocking, &s.Blocking))
}

// ScanSummary implements [scan.Store].
func (db *DB) ScanSummary(ctx context.Context, d digest.Digest) (scan.Summary, error) {
	var row summaryRow
	err := db.run.get(ctx, `SELECT `+summaryColumns+` FROM scan_reports WHERE digest = ?`, []any{string(d)}, row.dest()...)
	if isNone(err) {
		err = scan.ErrNotScanned
	}
	if err != nil {
		return scan.Summary{}, err
	}
	return row.summary(d)
}

// ScanInventory implements [scan.Store].
func (db *DB) ScanInventory(ctx context.Context, d digest.Digest) ([]byte, error) {
	return db.scanned(ctx, `SELECT content FROM scan_inventories WHERE digest = ?`, d)
}

// ScanFindings implements [scan.Store].
func (db *DB) ScanFindings(ctx context.Context, d digest.Digest) ([]byte, error) {
	return db.scanned(ctx, `SELECT content FROM scan_findings WHERE digest = ?`, d)
}

func (q queries) scanned(ctx context.Context, query string, d digest.Digest) (content []byte, err error) {
	err = q.run.get(ctx, query, []any{string(d)}, &content)
	if isNone(err) {
		return nil, nil
	}
	return content, err
}

// EndScan implements [scan.Store]. What a power cut takes back is done once more: the job is
// there again too.
func (db *DB) EndScan(ctx context.Context, j queue.Job, seen time.Time, o scan.Outcome) error {
	var p scan.JobPayload
	if err := fromJSON(string(j.Payload), &p); err != nil {
		return err
	}
	return db.UpdateRelaxed(ctx, func(tx *Tx) error {
		// First, so that of two who would end the same job one waits for the other.
		if err := tx.FinishJob(ctx, j); err != nil {
			return err
		}
		if err := tx.putOutcome(ctx, p.Digest, seen, o); err != nil {
			return err
		}
		return tx.followScan(ctx, p.Digest, o)
	})
}

// followScan adds the job that follows on an outcome which is not from the present database:
// who made jobs of the images that waited for that left alone the one that was under way.
func (tx *Tx) followScan(ctx context.Context, d digest.Digest, o scan.Outcome) error {
	if o.Status != scan.Pending && o.Findings == nil {
		return nil
	}
	present, err := tx.presentDatabase(ctx)
	if err != nil || present == "" || present == string(o.Database) {
		return err
	}
	if o.Status == scan.Pending {
		return tx.enqueueScan(ctx, scan.ScanJob, d)
	}
	return tx.enqueueScan(ctx, scan.MatchJob, d)
}

// putOutcome keeps what became of a scan. Errors: scan.ErrChanged.
func (tx *Tx) putOutcome(ctx context.Context, d digest.Digest, seen time.Time, o scan.Outcome) error {
	now := micros(tx.now)
	var matched int64
	if !seen.IsZero() {
		matched = micros(seen)
	}
	n, err := tx.exec(ctx, `UPDATE scan_reports SET status = CASE WHEN ? = '' THEN status ELSE ? END, reason = ?, scanner = ?, tried = ?
		WHERE digest = ? AND coalesce(matched_at, 0) = ?`, string(o.Status), string(o.Status), o.Reason, o.Scanner, string(o.Tried), string(d), matched)
	if err == nil && n == 0 {
		err = scan.ErrChanged
	}
	if err != nil {
		return err
	}
	if o.Inventory != nil || o.Status == scan.Failed || o.Status == scan.Unsupported {
		// A job that waits was asked for while this one was under way, which may not have heard of it.
		_, err := tx.exec(ctx, `UPDATE scan_reports SET anew = ? WHERE digest = ? AND anew
			AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.kind = ? AND j.job_key = ? AND j.state = 'waiting')`, false, string(d), scan.ScanJob, string(d))
		if err != nil {
			return err
		}
	}
	if o.Status != "" {
		_, err := tx.exec(ctx, `UPDATE scan_reports SET status = ?, reason = '' WHERE digest = ? AND anew`, string(scan.Pending), string(d))
		if err != nil {
			return err
		}
	}
	if o.Inventory != nil {
		_, err = tx.exec(ctx, `INSERT INTO scan_inventories (digest, content) VALUES (?, ?)
			ON CONFLICT (digest) DO UPDATE SET content = excluded.content`, string(d), o.Inventory)
		if err == nil {
			_, err = tx.exec(ctx, `UPDATE scan_reports SET os = ?, packages = ?, inventory_at = ? WHERE digest = ?`, o.OS, o.Packages, now, string(d))
		}
	}
	if err != nil || o.Findings == nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO scan_findings (digest, content) VALUES (?, ?)
		ON CONFLICT (digest) DO UPDATE SET content = excluded.content`, string(d), o.Findings)
	if err != nil {
		return err
	}
	counts, err1 := toJSON(o.Counts, o.Counts == nil)
	blocking, err2 := toJSON(o.Blocking, o.Blocking == nil)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	// Each time that findings are kept is another one, even if the clock stands still.
	_, err = tx.exec(ctx, `UPDATE scan_reports SET counts = ?, blocking = ?, database = ?, database_at = ?, matched_at = ? WHERE digest = ?`,
		counts, blocking, string(o.Database), optionalMicros(o.DatabaseAt), max(now, matched+1), string(d))
	return err
}
