package meta

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"berth/lifecycle"
	"berth/registry"
	"berth/storage/queue"
)

const (
	// previewLife is how long the results of a preview are told.
	previewLife = 24 * time.Hour

	// previewPatience is after how long another preview may take the place of one that has
	// come to no end.
	previewPatience = 15 * time.Minute

	// resultsPerStep is how many results are written in one transaction.
	resultsPerStep = 50
)

// StartLifecyclePreview has a policy tried out, in place of the one that was tried out before.
// Errors: ErrPreviewRunning.
func (tx *Tx) StartLifecyclePreview(ctx context.Context, r Repository, policy string) error {
	var state lifecycle.State
	var started int64
	err := tx.run.get(ctx, `SELECT state, started_at FROM lifecycle_previews WHERE repository_id = ?`, []any{r.ID}, &state, &started)
	switch {
	case err == nil && state == lifecycle.Running && tx.now.Sub(fromMicros(started)) < previewPatience:
		return registry.ErrPreviewRunning.With("a lifecycle policy is being tried out in repository %q; wait for it", r.Name)
	case err != nil && !isNone(err):
		return err
	}
	if err := tx.dropPreview(ctx, r); err != nil {
		return err
	}
	id := rand.Int64()
	_, err = tx.exec(ctx, `INSERT INTO lifecycle_previews (id, repository_id, policy, state, reason, expiring, archiving, archives, started_at, clear_at)
		VALUES (?, ?, ?, ?, '', 0, 0, FALSE, ?, ?)`,
		id, r.ID, policy, string(lifecycle.Running), micros(tx.now), micros(tx.now.Add(previewLife)))
	if err != nil {
		return err
	}
	return tx.Enqueue(ctx, queue.NewJob{
		Kind: lifecycle.PreviewJob, Key: strconv.FormatInt(id, 10), Payload: lifecycle.PreviewPayload{Repository: r.Name, ID: id},
	})
}

// dropPreview takes the preview of a repository from it, and has its results removed.
func (tx *Tx) dropPreview(ctx context.Context, r Repository) error {
	_, err := tx.exec(ctx, `UPDATE lifecycle_previews SET repository_id = NULL, clear_at = 0 WHERE repository_id = ?`, r.ID)
	return err
}

// LifecyclePreviewPolicy implements [lifecycle.Store].
func (q queries) LifecyclePreviewPolicy(ctx context.Context, id int64) (text string, err error) {
	err = q.run.get(ctx, `SELECT policy FROM lifecycle_previews WHERE id = ? AND repository_id IS NOT NULL AND state = ?`,
		[]any{id, string(lifecycle.Running)}, &text)
	if isNone(err) {
		err = lifecycle.ErrPreviewGone
	}
	return text, err
}

// EndLifecyclePreview implements [lifecycle.Store].
func (db *DB) EndLifecyclePreview(ctx context.Context, id int64, p lifecycle.Preview) error {
	// An attempt that was cut off may have left some.
	for left := int64(1); left > 0; {
		err := db.UpdateRelaxed(ctx, func(tx *Tx) (err error) {
			left, err = tx.deleteResults(ctx, id, resultsPerStep)
			return err
		})
		if err != nil {
			return err
		}
	}
	var expiring, archiving int
	for rest := p.Taken; len(rest) > 0; {
		step := rest[:min(resultsPerStep, len(rest))]
		rest = rest[len(step):]
		for _, d := range step {
			switch {
			case d.Action == lifecycle.Transition:
				archiving++
			case len(d.Tags) == 0:
				expiring++
			}
		}
		if err := db.UpdateRelaxed(ctx, func(tx *Tx) error { return tx.putResults(ctx, id, step) }); err != nil {
			return err
		}
	}
	return db.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `UPDATE lifecycle_previews SET state = ?, reason = ?, expiring = ?, archiving = ?, archives = ?
			WHERE id = ? AND repository_id IS NOT NULL`, string(p.State), p.Reason, expiring, archiving, p.Archives, id)
		if err == nil && n == 0 {
			err = lifecycle.ErrPreviewGone
		}
		return err
	})
}

func (tx *Tx) putResults(ctx context.Context, id int64, results []lifecycle.Decision) error {
	if _, err := tx.LifecyclePreviewPolicy(ctx, id); err != nil {
		return err
	}
	for _, d := range results {
		tags := d.Image.Tags
		if len(d.Tags) > 0 {
			tags = d.Tags
		}
		text, err := toJSON(tags, len(tags) == 0)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO lifecycle_preview_results (preview_id, digest, tags, pushed_at, rule, action, class)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			id, string(d.Image.Digest), text, micros(d.Image.PushedAt), d.Rule, string(d.Action), string(d.Image.Class))
		if err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) deleteResults(ctx context.Context, id int64, limit int) (int64, error) {
	return tx.exec(ctx, `DELETE FROM lifecycle_preview_results WHERE preview_id = ? AND digest IN
		(SELECT digest FROM lifecycle_preview_results WHERE preview_id = ? ORDER BY digest LIMIT ?)`, id, id, limit)
}

// clearPreview removes up to limit results of a preview that has had its time.
func (tx *Tx) clearPreview(ctx context.Context, limit int) (int, error) {
	var id int64
	err := tx.run.get(ctx, `SELECT id FROM lifecycle_previews WHERE clear_at <= ? ORDER BY clear_at, id LIMIT 1`, []any{micros(tx.now)}, &id)
	if isNone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := tx.deleteResults(ctx, id, limit)
	if err != nil || n == int64(limit) {
		return int(n), err
	}
	if _, err = tx.exec(ctx, `DELETE FROM lifecycle_previews WHERE id = ? AND repository_id IS NULL`, id); err == nil {
		_, err = tx.exec(ctx, `UPDATE lifecycle_previews SET clear_at = NULL WHERE id = ?`, id)
	}
	return limit, err // there may be another
}

// LifecyclePreview describes the preview of a repository, and the images of a page that its
// policy would take. Errors: ErrNotSet.
func (db *DB) LifecyclePreview(ctx context.Context, r Repository, find registry.PreviewQuery) (p registry.LifecyclePreview, err error) {
	var id, started int64
	var policy string
	var state lifecycle.State
	err = db.run.get(ctx, `SELECT id, policy, state, expiring, archiving, archives, started_at FROM lifecycle_previews WHERE repository_id = ?`,
		[]any{r.ID}, &id, &policy, &state, &p.Expiring, &p.Archiving, &p.Archives, &started)
	if isNone(err) {
		err = registry.ErrNotSet.With("no lifecycle policy has been tried out in repository %q", r.Name)
	}
	if err != nil {
		return p, err
	}
	p.Policy = json.RawMessage(policy)
	switch {
	case state == lifecycle.Failed:
		p.Status = registry.PreviewFailed
	case db.now().Sub(fromMicros(started)) >= previewLife:
		p.Status = registry.PreviewExpired
	case state == lifecycle.Running:
		p.Status = registry.PreviewRunning
	default:
		p.Status = registry.PreviewComplete
		p.Images, err = db.previewResults(ctx, id, find)
	}
	return p, err
}

func (q queries) previewResults(ctx context.Context, id int64, find registry.PreviewQuery) ([]registry.PreviewedImage, error) {
	const columns = `SELECT digest, tags, pushed_at, rule, action, class FROM lifecycle_preview_results WHERE preview_id = ? AND `
	status := map[registry.TagStatus]string{registry.Tagged: ` AND tags <> ''`, registry.Untagged: ` AND tags = ''`}[find.Status]
	scan := func(rows *sql.Rows) (i registry.PreviewedImage, err error) {
		var tags string
		var pushed int64
		err = rows.Scan(&i.Digest, &tags, &pushed, &i.Rule, &i.Action, &i.Class)
		i.PushedAt = fromMicros(pushed)
		return i, errors.Join(err, fromJSON(tags, &i.Tags))
	}
	if find.Digests == nil {
		return collect(ctx, q.run, scan, columns+`digest > ?`+status+` ORDER BY digest LIMIT ?`, id, string(find.Last), find.Limit)
	}
	var all []registry.PreviewedImage
	for _, d := range find.Digests {
		found, err := collect(ctx, q.run, scan, columns+`digest = ?`+status, id, string(d))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}
