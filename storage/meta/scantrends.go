package meta

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
)

var _ scan.TrendStore = (*DB)(nil)

// UpdateTrends implements [scan.TrendStore].
func (db *DB) UpdateTrends(ctx context.Context, day time.Time, after int64, limit int) (last int64, err error) {
	repositories, err := collect(ctx, db.run, scanOne[int64], `SELECT id FROM repositories WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	if err != nil || len(repositories) == 0 {
		return 0, err
	}
	for _, id := range repositories {
		scanned, err := db.exists(ctx, `SELECT 1 FROM scans WHERE repository_id = ? LIMIT 1`, id)
		if err == nil && scanned {
			err = db.updateTrend(ctx, id, trendDay(day))
		}
		if err != nil {
			return 0, err
		}
		last = id
	}
	return last, nil
}

// trendDay is how days are kept.
func trendDay(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// updateTrend brings the trend of a repository up to date, if there is something new.
func (db *DB) updateTrend(ctx context.Context, repository, day int64) error {
	images, mark, err := db.trendImages(ctx, repository)
	if err != nil {
		return err
	}
	var was trendState
	err = db.run.get(ctx, `SELECT day, images, base, open FROM scan_trend_states WHERE repository_id = ?`, []any{repository},
		&was.day, &was.images, &was.base, &was.open)
	known := err == nil
	if !known && !isNone(err) {
		return err
	}
	if known && (was.images == mark || was.day > day) || !known && len(images) == 0 {
		return nil
	}
	is := trendState{day: day, images: mark, base: was.base}
	before := scan.VulnerabilitySet{}
	if known {
		if was.day < day {
			is.base = was.open
		}
		if before, err = scan.ReadVulnerabilitySet(is.base); err != nil {
			return err
		}
	} else if is.base, err = before.Keep(); err != nil {
		return err
	}
	open := scan.VulnerabilitySet{}
	for _, d := range images {
		kept, err := db.ScanFindings(ctx, d)
		if err == nil && kept != nil {
			err = open.Add(kept)
		}
		if err != nil {
			return fmt.Errorf("the findings of %s: %w", d, err)
		}
	}
	if is.open, err = open.Keep(); err != nil {
		return err
	}
	return db.UpdateRelaxed(ctx, func(tx *Tx) error { return tx.putTrend(ctx, repository, is, open.Since(before)) })
}

// trendState is what a row of a trend was made from.
type trendState struct {
	day        int64
	images     string
	base, open []byte
}

func (tx *Tx) putTrend(ctx context.Context, repository int64, s trendState, c scan.TrendCounts) error {
	counts, err := json.Marshal(c)
	if err != nil {
		return err
	}
	// One that is being deleted gets none.
	there, err := tx.exists(ctx, `SELECT 1 FROM repositories WHERE id = ?`+tx.dialect.keep(), repository)
	if err != nil || !there {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO scan_trends (repository_id, day, counts) VALUES (?, ?, ?)
		ON CONFLICT (repository_id, day) DO UPDATE SET counts = excluded.counts`, repository, s.day, string(counts))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO scan_trend_states (repository_id, day, images, base, open) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (repository_id) DO UPDATE SET day = excluded.day, images = excluded.images, base = excluded.base, open = excluded.open`,
		repository, s.day, s.images, s.base, s.open)
	return err
}

// trendImages lists the images with findings that a trend looks at, and marks which they are
// and when those were found. It walks through the tags of the repository.
func (db *DB) trendImages(ctx context.Context, repository int64) (images []digest.Digest, mark string, err error) {
	type tagged struct {
		manifest, at int64
		name         string
	}
	const page = 1000
	var newest []tagged
	for last, n := "", page; n == page; {
		found, err := collect(ctx, db.run, func(rows *sql.Rows) (t tagged, err error) {
			return t, rows.Scan(&t.name, &t.manifest, &t.at)
		}, `SELECT name, manifest_id, updated_at FROM tags WHERE repository_id = ? AND name > ? ORDER BY name LIMIT ?`, repository, last, page)
		if err != nil {
			return nil, "", err
		}
		if n = len(found); n > 0 {
			last = found[n-1].name
		}
		newest = append(newest, found...)
		slices.SortFunc(newest, func(a, b tagged) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.name, b.name)) })
		seen := map[int64]bool{}
		newest = slices.DeleteFunc(newest, func(t tagged) bool {
			again := seen[t.manifest]
			seen[t.manifest] = true
			return again
		})
		newest = newest[:min(len(newest), scan.TrendImages)]
	}
	marks := digest.Canonical.Digester()
	seen := map[digest.Digest]bool{}
	for _, t := range newest {
		err := db.run.query(ctx, func(rows *sql.Rows) error {
			var d digest.Digest
			var matched int64
			if err := rows.Scan(&d, &matched); err != nil || seen[d] {
				return err
			}
			seen[d] = true
			images = append(images, d)
			fmt.Fprintf(marks.Hash(), "%s %d\n", d, matched)
			return nil
		}, `SELECT s.digest, s.matched_at FROM manifests m JOIN scan_reports s ON s.digest = m.digest
				WHERE m.id = ? AND s.matched_at IS NOT NULL
			UNION ALL SELECT s.digest, s.matched_at FROM manifest_children e JOIN scan_reports s ON s.digest = e.digest
				WHERE e.manifest_id = ? AND s.matched_at IS NOT NULL`, t.manifest, t.manifest)
		if err != nil {
			return nil, "", err
		}
	}
	return images, string(marks.Digest()), nil
}

// Trend lists the rows of a repository from a day on, by day, and the last one before.
// Errors: ErrNameUnknown.
func (q queries) Trend(ctx context.Context, repo registry.Name, from time.Time) ([]scan.Trend, error) {
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	const columns = `SELECT day, counts FROM scan_trends WHERE repository_id = ? AND day `
	before, err := collect(ctx, q.run, scanTrend, columns+`< ? ORDER BY day DESC LIMIT 1`, r.ID, trendDay(from))
	if err != nil {
		return nil, err
	}
	since, err := collect(ctx, q.run, scanTrend, columns+`>= ? ORDER BY day`, r.ID, trendDay(from))
	return append(before, since...), err
}

func scanTrend(rows *sql.Rows) (t scan.Trend, err error) {
	var day int64
	var counts string
	if err := rows.Scan(&day, &counts); err != nil {
		return t, err
	}
	t.Day = time.Unix(day*24*60*60, 0).UTC()
	return t, json.Unmarshal([]byte(counts), &t.TrendCounts)
}

// dropTrend forgets the trend of a repository that goes.
func (tx *Tx) dropTrend(ctx context.Context, r Repository) error {
	_, err := tx.exec(ctx, `DELETE FROM scan_trends WHERE repository_id = ?`, r.ID)
	if err == nil {
		_, err = tx.exec(ctx, `DELETE FROM scan_trend_states WHERE repository_id = ?`, r.ID)
	}
	return err
}
