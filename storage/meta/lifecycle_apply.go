package meta

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
)

// ApplyLifecycle implements [lifecycle.Store]. The repository is locked, so whoever pushes
// there or moves a tag has done so before the second look, or comes to it afterwards. What a
// power cut takes back is decided anew.
func (db *DB) ApplyLifecycle(ctx context.Context, run lifecycle.Run, running map[digest.Digest]bool, steps []lifecycle.Step) (applied lifecycle.Applied, err error) {
	err = db.UpdateRelaxed(ctx, func(tx *Tx) error {
		applied = lifecycle.Applied{}
		r, err := tx.LockRepository(ctx, run.Repository)
		if err != nil {
			return err
		}
		p, err := tx.LifecyclePolicy(ctx, r)
		if err != nil {
			return err
		}
		if r.ID != run.RepositoryID || string(p.Text) != run.Policy {
			return lifecycle.ErrPolicyChanged
		}
		a := application{tx: tx, run: run, repository: r}
		if a.started, err = a.hasStarted(ctx, running); err != nil {
			return err
		}
		for _, step := range steps {
			if err := a.step(ctx, step); err != nil {
				return err
			}
		}
		applied = a.Applied
		_, err = tx.exec(ctx, `UPDATE lifecycle_runs SET skipped = skipped + ?, expired = expired + ?, archived = archived + ?, untagged = untagged + ?
			WHERE id = ?`, applied.Skipped, applied.Expired, applied.Archived, applied.Untagged, run.ID)
		return err
	})
	return applied, err
}

// application is a transaction of a run.
type application struct {
	lifecycle.Applied
	tx         *Tx
	run        lifecycle.Run
	repository Repository
	started    bool // an image has come to run that did not when it was decided
}

// hasStarted looks at what runs once more, if that matters.
func (a *application) hasStarted(ctx context.Context, running map[digest.Digest]bool) (bool, error) {
	if running == nil {
		return false, nil
	}
	now, err := a.tx.RunningIn(ctx, a.repository.Name)
	for d := range now {
		if running[d] {
			continue
		}
		// The repository may not have it, and then it is of no concern.
		if _, there := a.tx.ManifestID(ctx, a.repository, d); !errors.Is(there, registry.ErrManifestUnknown) {
			return true, there
		}
	}
	return false, err
}

// step does a step unless something has changed.
func (a *application) step(ctx context.Context, s lifecycle.Step) error {
	for i := range s.Decisions {
		same, err := a.same(ctx, s, s.Decisions[i])
		if err != nil {
			return err
		}
		if !same || a.started {
			a.Skipped += len(s.Decisions)
			return nil
		}
	}
	for _, d := range s.Decisions {
		if err := a.decision(registry.WithCause(ctx, d.Cause()), d); err != nil {
			return err
		}
	}
	return nil
}

// same is the second look at an image: whether it is there as it was, no index keeps it, and
// nothing refers to it that did not when it was decided.
func (a *application) same(ctx context.Context, s lifecycle.Step, d lifecycle.Decision) (bool, error) {
	was, now := d.Image, registry.Image{}
	var pushed int64
	var archived bool
	var pulled, activated *int64
	err := a.tx.run.get(ctx, `SELECT pushed_at, last_pulled_at, archived, activated_at FROM manifests WHERE repository_id = ? AND digest = ?`,
		[]any{a.repository.ID, string(was.Digest)}, &pushed, &pulled, &archived, &activated)
	if isNone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now.PushedAt, now.LastPulledAt, now.ActivatedAt, now.Class = fromMicros(pushed), optionalTime(pulled), optionalTime(activated), classOf(archived)
	if !now.PushedAt.Equal(was.PushedAt) || !now.LastPulledAt.Equal(was.LastPulledAt) || !now.ActivatedAt.Equal(was.ActivatedAt) || now.Class != was.Class {
		return false, nil
	}
	if now.Tags, err = a.tx.ImageTags(ctx, a.repository, was.Digest); err != nil || !slices.Equal(now.Tags, was.Tags) {
		return false, err
	}
	if len(d.Tags) > 0 {
		return true, nil // the image stays, so nobody else is concerned
	}
	held, err := a.held(ctx, s, d)
	if err != nil || held {
		return false, err
	}
	referrers, err := a.tx.referrerDigests(ctx, a.repository, was.Digest)
	unknown := slices.ContainsFunc(referrers, func(r digest.Digest) bool { return !s.Has(r) && !slices.Contains(s.Known, r) })
	return !unknown, err
}

// held reports whether an index keeps an image that does not go in the same step.
func (a *application) held(ctx context.Context, s lifecycle.Step, d lifecycle.Decision) (bool, error) {
	if d.Action == lifecycle.Transition {
		indexes, err := a.tx.ActiveIndexes(ctx, a.repository, d.Image.Digest)
		return slices.ContainsFunc(indexes, func(i digest.Digest) bool { return !s.Has(i) }), err
	}
	return a.tx.exists(ctx, `SELECT 1 FROM manifest_children WHERE repository_id = ? AND digest = ? LIMIT 1`,
		a.repository.ID, string(d.Image.Digest))
}

// decision does what was decided of an image, and notes it.
func (a *application) decision(ctx context.Context, d lifecycle.Decision) error {
	gone, action := d.Image.Tags, d.Action
	var err error
	switch {
	case len(d.Tags) > 0:
		gone, action = d.Tags, lifecycle.Untag
		err = a.untag(ctx, d.Tags)
	case d.Action == lifecycle.Expire:
		a.Expired++
		err = a.tx.DeleteManifest(ctx, a.repository, d.Image.Digest)
	case d.Action == lifecycle.Transition:
		a.Archived++
		_, err = a.tx.ArchiveManifest(ctx, a.repository, d.Image.Digest)
	default:
		err = fmt.Errorf("nobody knows the action %q of rule %d", d.Action, d.Rule)
	}
	if err != nil {
		return err
	}
	tags, err := toJSON(gone, len(gone) == 0)
	if err != nil {
		return err
	}
	_, err = a.tx.exec(ctx, `INSERT INTO lifecycle_events (run_id, repository, digest, tags, rule, action, why, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.run.ID, string(a.repository.Name), string(d.Image.Digest), tags, d.Rule, string(action), d.Why(), micros(a.tx.now))
	return err
}

// untag lets tags go whose image stays.
func (a *application) untag(ctx context.Context, tags []registry.Tag) error {
	for _, t := range tags {
		if err := a.tx.DeleteTag(ctx, a.repository, t); err != nil {
			return err
		}
	}
	a.Untagged += len(tags)
	return nil
}
