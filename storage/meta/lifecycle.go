package meta

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
	"berth/storage/queue"
)

var _ lifecycle.Store = (*DB)(nil)

// enqueueRun has the policy of a repository held against its images.
func (tx *Tx) enqueueRun(ctx context.Context, repo registry.Name) error {
	return tx.Enqueue(ctx, queue.NewJob{
		Kind: lifecycle.RunJob, Key: string(repo), Payload: lifecycle.RunPayload{Repository: repo},
	})
}

// ScheduleLifecycle implements [lifecycle.Store].
func (db *DB) ScheduleLifecycle(ctx context.Context, limit int, next func() time.Duration) (n int, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		due, err := collect(ctx, tx.run, func(rows *sql.Rows) (r Repository, err error) {
			return r, rows.Scan(&r.ID, &r.Name)
		}, `SELECT id, name FROM repositories WHERE lifecycle_due_at <= ? ORDER BY lifecycle_due_at, id LIMIT ?`+tx.dialect.skipLocked(),
			micros(tx.now), limit)
		for _, r := range due {
			if err == nil {
				err = tx.enqueueRun(ctx, r.Name)
			}
			if err == nil {
				err = tx.lifecycleDue(ctx, r.ID, next())
			}
		}
		n = len(due)
		return err
	})
	return n, err
}

// lifecycleDue has the policy of a repository, if it has one, held against its images after d.
func (tx *Tx) lifecycleDue(ctx context.Context, repositoryID int64, d time.Duration) error {
	_, err := tx.exec(ctx, `UPDATE repositories SET lifecycle_due_at = ? WHERE id = ? AND lifecycle_policy <> ''`,
		micros(tx.now.Add(d)), repositoryID)
	return err
}

// RepositoriesWithLifecycle lists those of the repositories after last that have a lifecycle
// policy.
func (q queries) RepositoriesWithLifecycle(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	return collect(ctx, q.run, scanOne[registry.Name], `SELECT name FROM repositories WHERE lifecycle_policy <> '' AND name > ? ORDER BY name LIMIT ?`,
		string(last), limit)
}

// BeginLifecycleRun implements [lifecycle.Store].
func (db *DB) BeginLifecycleRun(ctx context.Context, repo registry.Name, forced bool, next time.Duration) (run lifecycle.Run, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		r, err := tx.LockRepository(ctx, repo)
		if err != nil {
			return err
		}
		p, err := tx.LifecyclePolicy(ctx, r)
		if err != nil {
			return err
		}
		if p.Text == nil {
			return registry.ErrNotSet.With("repository %q has no lifecycle policy", repo)
		}
		if err := tx.lifecycleDue(ctx, r.ID, next); err != nil {
			return err
		}
		run, err = tx.beginRun(ctx, r, string(p.Text), forced)
		return err
	})
	return run, err
}

// beginRun takes up the run that is open, if it is of the same policy, or begins one.
func (tx *Tx) beginRun(ctx context.Context, r Repository, policy string, forced bool) (lifecycle.Run, error) {
	_, err := tx.exec(ctx, `UPDATE lifecycle_runs SET state = ?, reason = ?, policy = '', ended_at = ?
		WHERE repository_id = ? AND ended_at IS NULL AND (policy <> ? OR repository <> ?)`,
		string(lifecycle.Superseded), lifecycle.ErrPolicyChanged.Error(), micros(tx.now), r.ID, policy, string(r.Name))
	if err != nil {
		return lifecycle.Run{}, err
	}
	open, err := collect(ctx, tx.run, scanRun, `UPDATE lifecycle_runs SET attempts = attempts + 1, forced = forced OR ?
		WHERE repository_id = ? AND ended_at IS NULL RETURNING `+runColumns, forced, r.ID)
	if err != nil || len(open) > 0 {
		return first(open), err
	}
	begun, err := collect(ctx, tx.run, scanRun, `INSERT INTO lifecycle_runs (repository, repository_id, policy, forced, state, reason, attempts,
		images, blocked, skipped, expired, archived, untagged, began_at) VALUES (?, ?, ?, ?, ?, '', 1, 0, 0, 0, 0, 0, 0, ?) RETURNING `+runColumns,
		string(r.Name), r.ID, policy, forced, string(lifecycle.Running), micros(tx.now))
	return first(begun), err
}

// first is the only element of a list, or nothing.
func first[T any](list []T) (v T) {
	if len(list) > 0 {
		v = list[0]
	}
	return v
}

const runColumns = `id, repository, repository_id, policy, forced, state, reason, attempts, images, blocked, skipped, expired, archived, untagged,
	began_at, ended_at`

func scanRun(rows *sql.Rows) (r lifecycle.Run, err error) {
	var began int64
	var ended *int64
	err = rows.Scan(&r.ID, &r.Repository, &r.RepositoryID, &r.Policy, &r.Forced, &r.State, &r.Reason, &r.Attempts, &r.Images, &r.Blocked,
		&r.Skipped, &r.Expired, &r.Archived, &r.Untagged, &began, &ended)
	r.BeganAt, r.EndedAt = fromMicros(began), optionalTime(ended)
	return r, err
}

// EndLifecycleRun implements [lifecycle.Store].
func (db *DB) EndLifecycleRun(ctx context.Context, run lifecycle.Run, soon time.Duration) (ended lifecycle.Run, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		list, err := collect(ctx, tx.run, scanRun, `UPDATE lifecycle_runs SET state = ?, reason = ?, policy = '', images = ?, blocked = ?, ended_at = ?
			WHERE id = ? RETURNING `+runColumns,
			string(run.State), run.Reason, run.Images, run.Blocked, micros(tx.now), run.ID)
		if ended = first(list); err != nil || run.State == lifecycle.Superseded {
			return err
		}
		if err := tx.joinRuns(ctx, ended); err != nil {
			return err
		}
		// What has been put meanwhile is another policy, and has a time of its own.
		const ours = ` WHERE id = ? AND lifecycle_policy = ?`
		_, err = tx.exec(ctx, `UPDATE repositories SET lifecycle_evaluated_at = ?`+ours, micros(tx.now), run.RepositoryID, run.Policy)
		switch {
		case err != nil:
		case run.State == lifecycle.Failed:
			_, err = tx.exec(ctx, `UPDATE repositories SET lifecycle_due_at = NULL`+ours, run.RepositoryID, run.Policy)
		case soon > 0:
			_, err = tx.exec(ctx, `UPDATE repositories SET lifecycle_due_at = ?`+ours, micros(tx.now.Add(soon)), run.RepositoryID, run.Policy)
		}
		return err
	})
	return ended, err
}

// joinRuns has a run that has done nothing stand for the one before it too, if that came to
// the same: most runs find nothing to do, and nobody asks for each of them.
func (tx *Tx) joinRuns(ctx context.Context, run lifecycle.Run) error {
	if run.Applied != (lifecycle.Applied{}) {
		return nil
	}
	before, err := tx.LifecycleRuns(ctx, run.Repository, run.ID, 1)
	if err != nil || len(before) == 0 {
		return err
	}
	if b := before[0]; b.State != run.State || b.Reason != run.Reason || b.Applied != run.Applied || b.RepositoryID != run.RepositoryID {
		return nil
	}
	_, err = tx.exec(ctx, `DELETE FROM lifecycle_runs WHERE id = ?`, before[0].ID)
	return err
}

// dropRun ends the run of a repository that goes, which a crash may have left open.
func (tx *Tx) dropRun(ctx context.Context, r Repository) error {
	_, err := tx.exec(ctx, `UPDATE lifecycle_runs SET state = ?, reason = 'the repository is gone', ended_at = ? WHERE repository_id = ? AND ended_at IS NULL`,
		string(lifecycle.Superseded), micros(tx.now), r.ID)
	return err
}

// imagesPage is how many images a snapshot reads with one statement.
const imagesPage = 1000

// LifecycleSnapshot implements [lifecycle.Store].
func (db *DB) LifecycleSnapshot(ctx context.Context, repo registry.Name) (s lifecycle.Snapshot, err error) {
	at, err := db.Now(ctx)
	if err != nil {
		return s, err
	}
	err = db.Snapshot(ctx, func(q *Snapshot) error {
		s = lifecycle.Snapshot{At: at}
		r, err := q.Repository(ctx, repo)
		if err != nil {
			return err
		}
		p, err := q.LifecyclePolicy(ctx, r)
		if err != nil {
			return err
		}
		s.RepositoryID, s.Policy = r.ID, string(p.Text)
		running, err := q.RunningIn(ctx, repo)
		if err != nil {
			return err
		}
		clusters, err := q.Clusters(ctx, "", registry.MaxClusters)
		if err != nil {
			return err
		}
		s.Unreported = !slices.ContainsFunc(clusters, func(c registry.Cluster) bool { return !c.ReportedAt.IsZero() })
		words := words{}
		for more, last := true, digest.Digest(""); more; {
			page, err := q.lifecycleImages(ctx, r, last, words)
			if err != nil {
				return err
			}
			for i := range page {
				page[i].RunningIn = running[page[i].Digest]
			}
			s.Images = append(s.Images, page...)
			if more = len(page) == imagesPage; more {
				last = page[len(page)-1].Digest
			}
		}
		return nil
	})
	return s, err
}

// words keeps one of each string that comes again and again.
type words map[string]string

func (w words) keep(s *string) {
	if kept, ok := w[*s]; ok {
		*s = kept
		return
	}
	w[*s] = *s
}

// lifecycleImages lists a page of the images of a repository after last, with all that
// decisions need to know, but for where they run.
func (q queries) lifecycleImages(ctx context.Context, r Repository, last digest.Digest, w words) ([]lifecycle.Image, error) {
	page, err := collect(ctx, q.run, func(rows *sql.Rows) (image lifecycle.Image, err error) {
		var pushed int64
		var archived bool
		var pulled, archivedAt, activatedAt *int64
		err = rows.Scan(&image.Digest, &image.MediaType, &image.ArtifactType, &image.Subject, &pushed, &pulled, &archived, &archivedAt, &activatedAt)
		w.keep(&image.MediaType)
		w.keep(&image.ArtifactType)
		image.PushedAt, image.LastPulledAt = fromMicros(pushed), optionalTime(pulled)
		image.ArchivedAt, image.ActivatedAt = optionalTime(archivedAt), optionalTime(activatedAt)
		image.Class = classOf(archived)
		return image, err
	}, `SELECT digest, media_type, artifact_type, subject, pushed_at, last_pulled_at, archived, archived_at, activated_at
		FROM manifests WHERE repository_id = ? AND digest > ? ORDER BY digest LIMIT ?`, r.ID, string(last), imagesPage)
	if err != nil || len(page) == 0 {
		return page, err
	}
	at := make(map[string]*lifecycle.Image, len(page))
	for i := range page {
		at[string(page[i].Digest)] = &page[i]
	}
	from, to := string(page[0].Digest), string(page[len(page)-1].Digest)
	err = q.run.query(ctx, func(rows *sql.Rows) error {
		var d string
		var t registry.Tag
		err := rows.Scan(&d, &t)
		if image := at[d]; image != nil {
			image.Tags = append(image.Tags, t)
		}
		return err
	}, `SELECT m.digest, t.name FROM manifests m JOIN tags t ON t.manifest_id = m.id
		WHERE m.repository_id = ? AND m.digest >= ? AND m.digest <= ? ORDER BY m.digest, t.name`, r.ID, from, to)
	if err != nil {
		return nil, err
	}
	err = q.run.query(ctx, func(rows *sql.Rows) error {
		var d string
		var index digest.Digest
		err := rows.Scan(&d, &index)
		if image := at[d]; image != nil {
			image.Indexes = append(image.Indexes, index)
		}
		return err
	}, `SELECT e.digest, m.digest FROM manifest_children e JOIN manifests m ON m.id = e.manifest_id
		WHERE e.repository_id = ? AND e.digest >= ? AND e.digest <= ? ORDER BY e.digest`, r.ID, from, to)
	return page, err
}
