package meta

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"berth/registry"
	"berth/scan"
)

var _ scan.RuleStore = (*DB)(nil)

// scanRulesChanged is what other processes are told when gates or exceptions have changed.
const scanRulesChanged = "scan rules"

// RulesGeneration implements [scan.RuleStore].
func (db *DB) RulesGeneration(ctx context.Context) (int64, error) {
	return db.scanRules.read(ctx, db.run)
}

// updateRules is an Update that makes stale what is remembered of gates and exceptions, in
// other processes too.
func (db *DB) updateRules(ctx context.Context, change func(*Tx) error) error {
	return db.Update(ctx, func(tx *Tx) error {
		tx.scanRules = true
		if err := tx.move(ctx, scanRulesChanged); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.notify(ctx, scanRulesChanged)
	})
}

// Gates implements [scan.RuleStore].
func (q queries) Gates(ctx context.Context) ([]scan.Gate, error) {
	gates, err := collect(ctx, q.run, func(rows *sql.Rows) (g scan.Gate, err error) {
		var pattern, document string
		var updated int64
		if err := rows.Scan(&pattern, &document, &updated); err != nil {
			return g, err
		}
		if err := json.Unmarshal([]byte(document), &g); err != nil {
			return g, fmt.Errorf("the gate of %s cannot be read: %w", pattern, err)
		}
		g.Repository, g.UpdatedAt = pattern, fromMicros(updated)
		return g, nil
	}, `SELECT repository, document, updated_at FROM scan_gates ORDER BY repository`)
	scan.SortGates(gates)
	return gates, err
}

// PutGate adds a gate, or replaces the one with the same pattern. Errors: ErrLimitExceeded.
func (db *DB) PutGate(ctx context.Context, g scan.Gate) error {
	document, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return db.updateRules(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO scan_gates (repository, document, updated_at) VALUES (?, ?, ?)
			ON CONFLICT (repository) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at`,
			g.Repository, string(document), micros(tx.now))
		if err != nil {
			return err
		}
		gates, err := tx.Gates(ctx)
		if err == nil && len(gates) > scan.MaxGates {
			err = registry.ErrLimitExceeded.With("there are %d gates, and cannot be more; cover several repositories with one pattern", scan.MaxGates)
		}
		return err
	})
}

// DeleteGate removes the gate with a pattern. Errors: scan.ErrGateUnknown.
func (db *DB) DeleteGate(ctx context.Context, pattern string) error {
	return db.updateRules(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `DELETE FROM scan_gates WHERE repository = ?`, pattern)
		if err == nil && n == 0 {
			err = scan.ErrGateUnknown
		}
		return err
	})
}

// Subject implements [scan.RuleStore].
func (q queries) Subject(ctx context.Context, repo registry.Name, ref registry.Reference) (scan.Subject, error) {
	var s scan.Subject
	var matched *int64
	query, args := findManifest(`m.digest, m.media_type, coalesce(s.status, ''), coalesce(s.reason, ''),
		s.matched_at, coalesce(s.blocking, '')`, `LEFT JOIN scan_reports s ON s.digest = m.digest`, repo, ref)
	err := q.run.get(ctx, query, args, &s.Digest, &s.MediaType, &s.Status, &s.Reason, &matched, &s.Blocking)
	s.MatchedAt = optionalTime(matched)
	return s, q.whyNoManifest(ctx, repo, ref, err)
}
