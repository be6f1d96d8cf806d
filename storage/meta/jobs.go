package meta

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"berth/storage/queue"
)

var _ queue.Store = (*DB)(nil)

// jobsChanged is what other processes are told.
const jobsChanged = "jobs"

// Times of jobs and leases go by the clock of the database, which all replicas share,
// and periods are handed to it as periods: their own clocks need not agree. Only
// [queue.NewJob.DueAt] comes from the clock of a replica.

// Enqueue adds a job, in the transaction of its cause.
func (tx *Tx) Enqueue(ctx context.Context, n queue.NewJob) error {
	payload, err := json.Marshal(n.Payload)
	if err != nil {
		return fmt.Errorf("a job of kind %s: %w", n.Kind, err)
	}
	var key any
	if n.Key != "" {
		key = n.Key
	}
	due, args := tx.dialect.clock(), []any{n.Kind, key, string(payload)}
	if !n.DueAt.IsZero() {
		due, args = "?", append(args, micros(n.DueAt))
	}
	// A job that waits and stands for this one too is written, even if nothing about it
	// changes, and so locked: nobody can lease it, and look at the world, before what
	// happens in this transaction can be seen.
	_, err = tx.exec(ctx, `INSERT INTO jobs (kind, job_key, payload, state, attempts, due_at, reason, created_at)
		VALUES (?, ?, ?, 'waiting', 0, `+due+`, '', `+tx.dialect.clock()+`)
		ON CONFLICT (kind, job_key) WHERE state = 'waiting' DO UPDATE SET due_at =
			CASE WHEN jobs.attempts = 0 AND excluded.due_at < jobs.due_at THEN excluded.due_at ELSE jobs.due_at END`, args...)
	if err != nil || n.DueAt.After(tx.now) {
		return err
	}
	return tx.jobsDue(ctx)
}

// jobsDue wakes workers, of other processes too, when the transaction commits.
func (tx *Tx) jobsDue(ctx context.Context) error {
	if tx.jobs {
		return nil
	}
	tx.jobs = true
	return tx.notify(ctx, jobsChanged)
}

// JobsDue implements [queue.Store].
func (db *DB) JobsDue() <-chan struct{} { return db.jobs.C() }

// LeaseJob implements [queue.Store]. What it costs does not depend on how many jobs
// there are, but on how many kinds are asked for: the first of each is looked at. While
// nothing is due, nothing is written.
func (db *DB) LeaseJob(ctx context.Context, kinds []string, d time.Duration) (queue.Job, error) {
	type head struct {
		kind string
		due  int64
	}
	var heads []head
	for _, kind := range kinds {
		h := head{kind: kind}
		err := db.run.get(ctx, `SELECT due_at FROM jobs WHERE kind = ? AND state <> 'failed' AND due_at <= `+db.dialect.clock()+`
			ORDER BY due_at LIMIT 1`, []any{kind}, &h.due)
		switch {
		case err == nil:
			heads = append(heads, h)
		case !isNone(err):
			return queue.Job{}, err
		}
	}
	slices.SortFunc(heads, func(a, b head) int { return cmp.Compare(a.due, b.due) })
	for _, h := range heads {
		j, err := db.leaseJob(ctx, h.kind, d)
		if !isNone(err) {
			return j, err
		}
	}
	return queue.Job{}, queue.ErrNothingDue
}

// leaseJob leases a job of one kind. The lease need not be on the disk: if a crash loses
// it, the holder has died too, or is told so when it says something of the job.
func (db *DB) leaseJob(ctx context.Context, kind string, d time.Duration) (queue.Job, error) {
	var found []queue.Job
	err := db.UpdateRelaxed(ctx, func(tx *Tx) (err error) {
		lease := rand.Int64()
		found, err = collect(ctx, tx.run, scanJob, `UPDATE jobs SET state = 'leased', lease = ?, attempts = attempts + 1, due_at = `+tx.dialect.clock()+` + ?
			WHERE id = (SELECT id FROM jobs WHERE kind = ? AND state <> 'failed' AND due_at <= `+tx.dialect.clock()+`
				ORDER BY due_at, id LIMIT 1`+tx.dialect.skipLocked()+`)
			RETURNING `+jobColumns, lease, d.Microseconds(), kind)
		for i := range found {
			found[i].Lease = lease
		}
		return err
	})
	if err == nil && len(found) == 0 {
		err = sql.ErrNoRows // somebody else was faster
	}
	if err != nil {
		return queue.Job{}, err
	}
	return found[0], nil
}

const jobColumns = `id, kind, coalesce(job_key, ''), payload, state, attempts, due_at, reason, created_at`

func scanJob(rows *sql.Rows) (j queue.Job, err error) {
	var payload string
	var due, created int64
	err = rows.Scan(&j.ID, &j.Kind, &j.Key, &payload, &j.State, &j.Attempts, &due, &j.Reason, &created)
	j.Payload = json.RawMessage(payload)
	j.DueAt, j.CreatedAt = fromMicros(due), fromMicros(created)
	return j, err
}

// ExtendJob implements [queue.Store].
func (db *DB) ExtendJob(ctx context.Context, j queue.Job, d time.Duration) error {
	return db.settle(ctx, `UPDATE jobs SET due_at = `+db.dialect.clock()+` + ? WHERE id = ? AND lease = ?`, d.Microseconds(), j.ID, j.Lease)
}

// FinishJob implements [queue.Store].
func (db *DB) FinishJob(ctx context.Context, j queue.Job) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error { return tx.FinishJob(ctx, j) })
}

// FinishJob removes a job in the transaction that keeps its result, so that there is neither
// one without the other. Errors: queue.ErrLeaseLost.
func (tx *Tx) FinishJob(ctx context.Context, j queue.Job) error {
	return tx.settle(ctx, `DELETE FROM jobs WHERE id = ? AND lease = ?`, j.ID, j.Lease)
}

// GiveUpJob implements [queue.Store].
func (db *DB) GiveUpJob(ctx context.Context, j queue.Job, reason string) error {
	return db.settle(ctx, `UPDATE jobs SET state = 'failed', lease = NULL, due_at = `+db.dialect.clock()+`, reason = ? WHERE id = ? AND lease = ?`,
		reason, j.ID, j.Lease)
}

// settle changes a job under its lease. What a crash takes back is done once more.
func (db *DB) settle(ctx context.Context, statement string, args ...any) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error { return tx.settle(ctx, statement, args...) })
}

func (tx *Tx) settle(ctx context.Context, statement string, args ...any) error {
	n, err := tx.exec(ctx, statement, args...)
	if err == nil && n == 0 {
		return queue.ErrLeaseLost
	}
	return err
}

// RetryJob implements [queue.Store].
func (db *DB) RetryJob(ctx context.Context, j queue.Job, d time.Duration, reason string) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error { return tx.unlease(ctx, j, d, `reason = ?`, reason) })
}

// PostponeJob implements [queue.Store].
func (db *DB) PostponeJob(ctx context.Context, j queue.Job, d time.Duration, reason string) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error {
		return tx.unlease(ctx, j, d, `attempts = attempts - 1, reason = ?`, reason)
	})
}

// ReleaseJob implements [queue.Store].
func (db *DB) ReleaseJob(ctx context.Context, j queue.Job) error {
	return db.UpdateRelaxed(ctx, func(tx *Tx) error {
		if err := tx.unlease(ctx, j, 0, `attempts = attempts - 1`); err != nil {
			return err
		}
		return tx.jobsDue(ctx)
	})
}

// unlease has a job wait for d that its holder gives back.
func (tx *Tx) unlease(ctx context.Context, j queue.Job, d time.Duration, set string, values ...any) error {
	there, err := tx.putBack(ctx, d, set, values, `id = ? AND lease = ?`, j.ID, j.Lease)
	if err == nil && !there {
		return queue.ErrLeaseLost
	}
	return err
}

// putBack makes the job that the condition where selects wait for d. If another one of
// the same kind and key waits already, that one stands for both, and this one is removed.
// there reports whether where has selected a job.
func (tx *Tx) putBack(ctx context.Context, d time.Duration, set string, values []any, where string, args ...any) (there bool, err error) {
	due := tx.dialect.clock() + ` + ?`
	n, err := tx.exec(ctx, `UPDATE jobs SET state = 'waiting', lease = NULL, due_at = `+due+`, `+set+` WHERE `+where+`
		AND NOT EXISTS (SELECT 1 FROM jobs twin WHERE twin.kind = jobs.kind AND twin.job_key = jobs.job_key
			AND twin.state = 'waiting' AND twin.id <> jobs.id)`,
		slices.Concat([]any{d.Microseconds()}, values, args)...)
	if err != nil || n == 1 {
		return true, err
	}
	var kind, key string
	err = tx.run.get(ctx, `DELETE FROM jobs WHERE `+where+` RETURNING kind, coalesce(job_key, '')`, args, &kind, &key)
	if isNone(err) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	// If the twin has been leased since we looked, that is after whatever asked for this
	// job, and so it does its work too.
	_, err = tx.exec(ctx, `UPDATE jobs SET due_at = `+due+` WHERE kind = ? AND job_key = ? AND state = 'waiting' AND due_at > `+due,
		d.Microseconds(), kind, key, d.Microseconds())
	return true, err
}

// Jobs implements [queue.Store].
func (db *DB) Jobs(ctx context.Context, f queue.Filter, after int64, limit int) ([]queue.Job, error) {
	query, args := `SELECT `+jobColumns+` FROM jobs WHERE id > ?`, []any{after}
	if f.State != "" {
		query, args = query+` AND state = ?`, append(args, string(f.State))
	}
	if f.Kind != "" {
		query, args = query+` AND kind = ?`, append(args, f.Kind)
	}
	return collect(ctx, db.run, scanJob, query+` ORDER BY id LIMIT ?`, append(args, limit)...)
}

// CountJobs implements [queue.Store]. It walks the index of states.
func (db *DB) CountJobs(ctx context.Context) (map[queue.State]int, error) {
	counts := map[queue.State]int{}
	err := db.run.query(ctx, func(rows *sql.Rows) error {
		var state queue.State
		var n int
		err := rows.Scan(&state, &n)
		counts[state] = n
		return err
	}, `SELECT state, count(*) FROM jobs GROUP BY state`)
	return counts, err
}

// RequeueJob implements [queue.Store].
func (db *DB) RequeueJob(ctx context.Context, id int64) error {
	return db.Update(ctx, func(tx *Tx) error {
		there, err := tx.requeue(ctx, id)
		if err != nil || there {
			return err
		}
		var one int
		err = tx.run.get(ctx, `SELECT 1 FROM jobs WHERE id = ?`, []any{id}, &one)
		if isNone(err) {
			return queue.ErrJobUnknown
		}
		return errors.Join(err, queue.ErrJobLeased)
	})
}

func (tx *Tx) requeue(ctx context.Context, id int64) (there bool, err error) {
	there, err = tx.putBack(ctx, 0, `attempts = 0`, nil, `id = ? AND state <> 'leased'`, id)
	if err != nil {
		return there, err
	}
	return there, tx.jobsDue(ctx)
}

// RequeueFailedJobs implements [queue.Store].
func (db *DB) RequeueFailedJobs(ctx context.Context) (n int, err error) {
	const step = 100
	for last := int64(0); ; {
		failed, err := db.Jobs(ctx, queue.Filter{State: queue.Failed}, last, step)
		if err != nil {
			return n, err
		}
		var requeued int
		err = db.Update(ctx, func(tx *Tx) error {
			requeued = 0
			for _, j := range failed {
				there, err := tx.requeue(ctx, j.ID)
				if err != nil {
					return err
				}
				if there {
					requeued++
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += requeued
		if len(failed) < step {
			return n, nil
		}
		last = failed[step-1].ID
	}
}
