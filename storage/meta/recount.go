package meta

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// A figure is what has been counted for a repository, the registry or a quota, and what the
// sum is. The queries here look at everything; the counts are for not having to.

// Miscount is a count that is not the sum of what it counts.
type Miscount struct {
	What         string // such as "unique bytes of team/app"
	Counted, Sum int64
}

const (
	registryFigures = `SELECT 'bytes of the registry', CAST(SUM(unique_bytes) AS BIGINT) FROM storage_usage WHERE repository_id = 0`
	registrySums    = `SELECT 'bytes of the registry', CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs`

	linksOfBlobs = `FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id
		JOIN (SELECT blob_id, COUNT(*) AS links FROM repository_blobs GROUP BY blob_id) l ON l.blob_id = rb.blob_id`
	uniqueSum = `CAST(SUM(CASE WHEN l.links = 1 THEN b.size ELSE 0 END) AS BIGINT)`
	sharedSum = `CAST(SUM(CASE WHEN l.links = 1 THEN 0 ELSE b.size END) AS BIGINT)`

	quotaSums = `SELECT 'bytes under the quota ' || l.prefix, CAST(SUM(b.size) AS BIGINT) FROM (SELECT DISTINCT q.prefix AS prefix, rb.blob_id AS blob_id
		FROM quotas q JOIN repositories r ON q.prefix = 'ROOT' OR r.name = q.prefix OR r.name >= q.prefix || '/' AND r.name < q.prefix || '0'
		JOIN repository_blobs rb ON rb.repository_id = r.id) l JOIN blobs b ON b.id = l.blob_id GROUP BY l.prefix`
)

// figures are pairs of queries of the same figures, by name: what was counted and what the
// sum is. What is zero may be missing.
var figures = []struct{ counted, sums string }{
	{registryFigures, registrySums},
	{
		`SELECT 'unique bytes of ' || COALESCE(r.name, 'a repository that is gone'), CAST(SUM(u.unique_bytes) AS BIGINT) FROM storage_usage u
			LEFT JOIN repositories r ON r.id = u.repository_id WHERE u.repository_id <> 0 GROUP BY r.name`,
		`SELECT 'unique bytes of ' || r.name, ` + uniqueSum + ` ` + linksOfBlobs + ` JOIN repositories r ON r.id = rb.repository_id GROUP BY r.name`,
	},
	{
		`SELECT 'shared bytes of ' || COALESCE(r.name, 'a repository that is gone'), CAST(SUM(u.shared_bytes) AS BIGINT) FROM storage_usage u
			LEFT JOIN repositories r ON r.id = u.repository_id WHERE u.repository_id <> 0 GROUP BY r.name`,
		`SELECT 'shared bytes of ' || r.name, ` + sharedSum + ` ` + linksOfBlobs + ` JOIN repositories r ON r.id = rb.repository_id GROUP BY r.name`,
	},
	{`SELECT 'bytes under the quota ' || prefix, used_bytes FROM quota_usage`, quotaSums},
	{
		`SELECT 'links under the quota ' || prefix, CAST(SUM(links) AS BIGINT) FROM quota_blobs GROUP BY prefix`,
		`SELECT 'links under the quota ' || q.prefix, COUNT(*)
			FROM quotas q JOIN repositories r ON q.prefix = 'ROOT' OR r.name = q.prefix OR r.name >= q.prefix || '/' AND r.name < q.prefix || '0'
			JOIN repository_blobs rb ON rb.repository_id = r.id GROUP BY q.prefix`,
	},
}

// Miscounts compares all counts of bytes with sums.
func (s *Snapshot) Miscounts(ctx context.Context) ([]Miscount, error) {
	var all []Miscount
	for _, f := range figures {
		counted, err := s.figures(ctx, f.counted)
		if err != nil {
			return nil, err
		}
		sums, err := s.figures(ctx, f.sums)
		if err != nil {
			return nil, err
		}
		for name := range counted {
			sums[name] += 0 // it is there
		}
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			if counted[name] != sums[name] {
				all = append(all, Miscount{What: name, Counted: counted[name], Sum: sums[name]})
			}
		}
	}
	return all, nil
}

func (s *Snapshot) figures(ctx context.Context, query string) (map[string]int64, error) {
	all := map[string]int64{}
	err := s.run.query(ctx, func(rows *sql.Rows) error {
		var name string
		var n int64
		err := rows.Scan(&name, &n)
		all[name] = n
		return err
	}, query)
	return all, err
}

// Recount counts all bytes anew. Pushes wait meanwhile.
func (db *DB) Recount(ctx context.Context) error {
	defer db.quotas.Store(nil)
	return db.database.bulk(ctx, func(tx *Tx) error {
		if err := tx.stopCounting(ctx); err != nil {
			return err
		}
		return tx.recount(ctx)
	})
}

// recount counts everything, while nobody else does.
func (tx *Tx) recount(ctx context.Context) error {
	for _, statement := range []string{
		`UPDATE storage_usage SET unique_bytes = 0 WHERE repository_id = 0`,
		`UPDATE storage_usage SET unique_bytes = (SELECT COALESCE(SUM(size), 0) FROM blobs) WHERE repository_id = 0 AND slot = 0`,
		`DELETE FROM storage_usage WHERE repository_id <> 0`,
		`INSERT INTO storage_usage (repository_id, slot, unique_bytes, shared_bytes, quotas)
			SELECT rb.repository_id, 0, ` + uniqueSum + `, ` + sharedSum + `, 0 ` + linksOfBlobs + ` GROUP BY rb.repository_id`,
		`DELETE FROM quota_blobs`,
		`DELETE FROM quota_usage`,
	} {
		if _, err := tx.exec(ctx, statement); err != nil {
			return fmt.Errorf("counting bytes anew: %w", err)
		}
	}
	prefixes, err := collect(ctx, tx.run, scanOne[string], selectPrefixes)
	for _, p := range prefixes {
		if err == nil {
			err = tx.countQuota(ctx, p)
		}
	}
	return err
}
