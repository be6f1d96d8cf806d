package engine_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named pgx

	"berth/lifecycle"
	"berth/registry/engine"
	"berth/storage/gc"
)

// rows looks into the database beside everybody, and lists what a query finds, a row a line.
func (s *site) rows(url, query string) (all []string) {
	s.t.Helper()
	driver := "pgx"
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, url = "sqlite", path
	}
	db, err := sql.Open(driver, url)
	want(s.t, "Open", err, nil)
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	want(s.t, "Columns", err, nil)
	for rows.Next() {
		row, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		want(s.t, "Scan", rows.Scan(dest...), nil)
		all = append(all, fmt.Sprint(row...))
	}
	want(s.t, "rows", rows.Err(), nil)
	return all
}

// none checks that a query finds nothing.
func (s *site) none(url, what, query string) {
	s.t.Helper()
	if all := s.rows(url, query); len(all) > 0 {
		s.t.Errorf("%s: %s", what, strings.Join(all[:min(len(all), 5)], "\n"))
	}
}

// addsUp checks that rows, objects, counts and history tell the same.
func (s *site) addsUp(url string) {
	s.t.Helper()
	want(s.t, "DoDueJobs", s.DoDueJobs(s.t.Context()), nil)
	_, err := s.Inspect(s.t.Context(), engine.Check{Deep: true, Found: func(p engine.Problem) error {
		s.t.Errorf("%s %s %s: %s", p.Kind, p.Repository, p.Digest, p.Message)
		return nil
	}})
	want(s.t, "Inspect", err, nil)
	s.none(url, "tags are not where their history ends", `SELECT r.name, t.name, m.digest FROM tags t JOIN repositories r ON r.id = t.repository_id
		JOIN manifests m ON m.id = t.manifest_id WHERE m.digest <> coalesce((SELECT h.digest FROM tag_history h
		WHERE h.repository = r.name AND h.tag = t.name ORDER BY h.id DESC LIMIT 1), '')`)
	s.none(url, "tags are gone, and their history does not say so", `SELECT h.repository, h.tag, h.digest FROM tag_history h
		WHERE h.digest <> '' AND NOT EXISTS (SELECT 1 FROM tag_history o WHERE o.repository = h.repository AND o.tag = h.tag AND o.id > h.id)
		AND NOT EXISTS (SELECT 1 FROM repositories r JOIN tags t ON t.repository_id = r.id WHERE r.name = h.repository AND t.name = h.tag)`)
	s.none(url, "the history of a tag has a gap", `SELECT h.repository, h.tag, h.id FROM tag_history h WHERE h.was <> coalesce((SELECT o.digest FROM tag_history o
		WHERE o.repository = h.repository AND o.tag = h.tag AND o.id < h.id ORDER BY o.id DESC LIMIT 1), '')`)
	s.none(url, "images are there and deleted", `SELECT x.repository, x.digest FROM deleted_images x JOIN repositories r ON r.name = x.repository
		JOIN manifests m ON m.repository_id = r.id AND m.digest = x.digest WHERE x.deleted_at > m.pushed_at AND x.deleted_at > coalesce(m.activated_at, 0)`)
	s.none(url, "payloads are of nothing", `SELECT digest FROM manifest_payloads p WHERE NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = p.digest)
		AND NOT EXISTS (SELECT 1 FROM deleted_images x WHERE x.digest = p.digest)`)
	s.none(url, "blobs are garbage that nobody finds", `SELECT digest FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = b.id)
		AND NOT EXISTS (SELECT 1 FROM gc_candidates c WHERE c.digest = b.digest)`)
	s.none(url, "links are garbage that nobody finds", `SELECT rb.repository_id, b.digest FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id
		WHERE rb.unreferenced_since IS NULL AND NOT EXISTS (SELECT 1 FROM manifest_blobs e WHERE e.repository_id = rb.repository_id AND e.digest = b.digest)`)
	s.none(url, "what a cluster runs is not what it is said to run", `SELECT r.cluster FROM running_images r WHERE NOT EXISTS
		(SELECT 1 FROM clusters c WHERE c.name = r.cluster)`)
}

// allGoes deletes everything, and checks that nothing stays.
func (s *site) allGoes(url string) {
	s.t.Helper()
	ctx := s.t.Context()
	names, err := s.Repositories(ctx, "", 100)
	want(s.t, "Repositories", err, nil)
	for _, name := range names {
		want(s.t, "DeleteRepository", s.DeleteRepository(ctx, name, true), nil)
	}
	clusters, err := s.Clusters(ctx, "", 100)
	want(s.t, "Clusters", err, nil)
	for _, c := range clusters {
		want(s.t, "RemoveCluster", s.RemoveCluster(ctx, c.Name), nil)
	}
	s.none(url, "quotas count what is gone", `SELECT prefix FROM quota_blobs qb WHERE NOT EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.blob_id = qb.blob_id)`)
	quotas, err := s.Quotas(ctx)
	want(s.t, "Quotas", err, nil)
	for _, q := range quotas {
		want(s.t, "RemoveQuota", s.RemoveQuota(ctx, q.Prefix), nil)
	}
	_, err = lifecycle.NewPruner(s.db, lifecycle.Options{}).Schedule(ctx)
	want(s.t, "Schedule", err, nil)
	s.dueJobs(lifecycle.NewPruner(s.db, lifecycle.Options{}))
	for range 3 {
		s.clock.advance(gc.DefaultGrace + time.Minute)
		s.sweep()
	}
	if n := s.objects(); n > 0 {
		s.t.Errorf("%d objects are left", n)
	}
	for _, table := range []string{
		"repositories", "blobs", "repository_blobs", "gc_candidates", "manifests", "manifest_payloads", "manifest_blobs", "manifest_children", "tags",
		"uploads", "deleted_images", "quotas", "quota_blobs", "quota_usage", "clusters", "running_images", "jobs", "lifecycle_previews",
	} {
		s.none(url, table+" is not empty", `SELECT * FROM `+table)
	}
	s.none(url, "bytes are counted", `SELECT repository_id, slot, unique_bytes, shared_bytes FROM storage_usage WHERE repository_id <> 0`)
	s.none(url, "bytes of the registry are counted", `SELECT SUM(unique_bytes) FROM storage_usage HAVING SUM(unique_bytes) <> 0`)
	s.none(url, "runs are open", `SELECT id, repository, state FROM lifecycle_runs WHERE ended_at IS NULL`)
	if strings.HasPrefix(url, "postgres") {
		s.t.Logf("deadlocks: %v", s.rows(url, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`))
	}
}
