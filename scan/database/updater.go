package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"berth/registry"
	"berth/scan"
	"berth/storage/queue"
)

// UpdateStore keeps how fetching databases has gone. All replicas share it.
type UpdateStore interface {
	// DatabaseUpdates lists the kinds that were ever asked for.
	DatabaseUpdates(ctx context.Context) ([]scan.DatabaseUpdate, error)
	PutDatabaseUpdate(ctx context.Context, u scan.DatabaseUpdate) error
}

// UpdaterOptions say where databases are fetched from.
type UpdaterOptions struct {
	References map[scan.DatabaseKind]string // as [ParseReference] has them; kinds without are not fetched
	Every      time.Duration                // how often to ask, once a newer one is to be expected; zero means [DefaultEvery]
	MaxAge     time.Duration                // from which on the log has a warning once a day; zero means [DefaultMaxAge]

	// Wanted reports whether anybody scans. As long as nobody does, nothing is asked.
	Wanted func(context.Context) (bool, error)

	UserAgent string
	Logger    *slog.Logger     // may be nil
	Now       func() time.Time // for tests; nil means time.Now
}

// The defaults of [UpdaterOptions].
const (
	DefaultEvery  = 6 * time.Hour
	DefaultMaxAge = 72 * time.Hour
)

// Updater fetches newer databases.
type Updater struct {
	importer *Importer
	updates  UpdateStore
	opts     UpdaterOptions
	log      *slog.Logger
	warned   map[scan.DatabaseKind]time.Time
}

// NewUpdater returns an updater that imports by i.
func NewUpdater(i *Importer, updates UpdateStore, opts UpdaterOptions) *Updater {
	opts.Every, opts.MaxAge = cmp.Or(opts.Every, DefaultEvery), cmp.Or(opts.MaxAge, DefaultMaxAge)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Updater{importer: i, updates: updates, opts: opts, log: opts.Logger, warned: map[scan.DatabaseKind]time.Time{}}
}

// passEvery is how often Run makes a pass, which mostly reads a few rows and finds nothing to do.
const passEvery = 15 * time.Second

// Run fetches databases when they are due, until ctx ends.
func (u *Updater) Run(ctx context.Context, alone queue.Alone) {
	for {
		if err := u.Pass(ctx, alone); err != nil && ctx.Err() == nil {
			u.log.ErrorContext(ctx, "it cannot be looked up whether there are newer vulnerability databases; it goes on later", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(passEvery):
		}
	}
}

// Pass fetches what is due, on one server at a time, and warns of what is old.
func (u *Updater) Pass(ctx context.Context, alone queue.Alone) error {
	wanted, err := u.opts.Wanted(ctx)
	if err != nil || !wanted {
		return err
	}
	due, err := u.due(ctx)
	if err != nil {
		return err
	}
	if len(due) > 0 {
		_, err = alone(ctx, func(ctx context.Context) error {
			due, err := u.due(ctx) // another replica may have been at it meanwhile
			for _, kind := range due {
				if ctx.Err() != nil {
					break
				}
				u.attempt(ctx, kind) // what went wrong is noted and told
			}
			return err
		})
	}
	return errors.Join(err, u.warn(ctx))
}

// kinds are in the order in which they are fetched.
var kinds = []scan.DatabaseKind{scan.Vulnerabilities, scan.Java}

// due are the kinds that are to be asked for now.
func (u *Updater) due(ctx context.Context) (due []scan.DatabaseKind, err error) {
	states, err := u.states(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		reference := u.opts.References[kind]
		if reference == "" {
			continue
		}
		present, err := u.importer.Present(ctx, kind)
		if err != nil && !errors.Is(err, registry.ErrNotSet) {
			return nil, err
		}
		if Due(states[kind], reference, present, u.opts.Every, u.opts.Now()) {
			due = append(due, kind)
		}
	}
	return due, nil
}

func (u *Updater) states(ctx context.Context) (map[scan.DatabaseKind]scan.DatabaseUpdate, error) {
	all, err := u.updates.DatabaseUpdates(ctx)
	states := map[scan.DatabaseKind]scan.DatabaseUpdate{}
	for _, s := range all {
		states[s.Kind] = s
	}
	return states, err
}

// firstPause is how long after a failure the next attempt comes; then it is twice as long
// each time.
const firstPause = time.Minute

// Due decides whether reference is to be asked for a database now: after a failure with
// growing pauses, at once when it is another reference or there is no database, and else
// when the present one says that a newer one is to be expected.
func Due(last scan.DatabaseUpdate, reference string, present scan.Database, every time.Duration, now time.Time) bool {
	switch {
	case last.Reference != reference:
		return true
	case last.Failures > 0:
		pause := min(firstPause<<min(last.Failures-1, 20), every)
		return !now.Before(last.AttemptedAt.Add(pause))
	case present.Digest == "":
		return true
	}
	return !now.Before(present.NextUpdate) && !now.Before(last.AttemptedAt.Add(every))
}

// attempt updates a kind and tells how that went.
func (u *Updater) attempt(ctx context.Context, kind scan.DatabaseKind) {
	result, err := u.Update(registry.WithCause(ctx, registry.Cause{By: "updater", Why: "it is at " + u.opts.References[kind]}), kind)
	switch {
	case ctx.Err() != nil: // the server stops, or another one is at it
	case err != nil:
		u.log.WarnContext(ctx, "a "+Name(kind)+" could not be fetched; it is tried again later. "+
			"Where there is no way to the internet, bring it in with berth scan db import, and set "+flagOf(kind)+" to a mirror or to off",
			"reference", u.opts.References[kind], "error", err)
	case result.Changed:
		u.log.InfoContext(ctx, "there is a new "+Name(kind), "reference", u.opts.References[kind], "digest", result.Digest, "made", result.UpdatedAt)
	}
}

// flagOf is the setting with the reference of a kind.
func flagOf(kind scan.DatabaseKind) string {
	if kind == scan.Java {
		return "--scan-java-db"
	}
	return "--scan-db"
}

// Update asks the reference of a kind for a newer database, takes it, and notes how that
// went. One that is not newer is no error, and changes nothing.
func (u *Updater) Update(ctx context.Context, kind scan.DatabaseKind) (Result, error) {
	states, err := u.states(ctx)
	if err != nil {
		return Result{}, err
	}
	state := states[kind]
	if reference := u.opts.References[kind]; state.Reference != reference {
		state = scan.DatabaseUpdate{Kind: kind, Reference: reference}
	}
	result, err := u.fetch(ctx, kind, &state)
	if ctx.Err() != nil {
		return Result{}, errors.Join(ctx.Err(), err)
	}
	state.AttemptedAt = u.opts.Now()
	if err == nil {
		state.SucceededAt, state.Failures, state.Error = state.AttemptedAt, 0, ""
	} else {
		state.Failures++
		state.Error = queue.Reason(err.Error()) // the other registry may have said anything
	}
	return result, errors.Join(err, u.updates.PutDatabaseUpdate(ctx, state))
}

// fetch takes what is at the reference of state unless it was seen before.
func (u *Updater) fetch(ctx context.Context, kind scan.DatabaseKind, state *scan.DatabaseUpdate) (Result, error) {
	if state.Reference == "" {
		return Result{}, fmt.Errorf("%s is off", flagOf(kind))
	}
	upstream, err := ParseReference(state.Reference, u.opts.UserAgent)
	if err != nil {
		return Result{}, err
	}
	present, err := u.importer.Present(ctx, kind)
	if err != nil && !errors.Is(err, registry.ErrNotSet) {
		return Result{}, err
	}
	there, err := upstream.Digest(ctx)
	if err != nil {
		return Result{}, err
	}
	if present.Digest != "" && (there == present.Digest || there == state.Digest) {
		state.Digest = there
		return Result{Database: present}, nil
	}
	a, err := upstream.Artifact(ctx)
	if err != nil {
		return Result{}, err
	}
	if a.Kind != kind {
		return Result{}, fmt.Errorf("%s is a %s, not a %s; correct %s", state.Reference, Name(a.Kind), Name(kind), flagOf(kind))
	}
	result, err := u.importer.Import(ctx, a, false)
	if errors.Is(err, scan.ErrDatabaseOlder) {
		u.log.InfoContext(ctx, "the "+Name(kind)+" that is offered is not taken", "reference", state.Reference, "reason", err)
		result, err = Result{Database: present}, nil
	}
	if err == nil {
		state.Digest = a.Manifest.Digest
	}
	return result, err
}

// warn tells once a day of databases that are old.
func (u *Updater) warn(ctx context.Context) error {
	all, err := u.importer.Store.VulnerabilityDatabases(ctx)
	if err != nil {
		return err
	}
	now := u.opts.Now()
	for _, d := range all {
		if !d.Old(u.opts.MaxAge, now) || now.Sub(u.warned[d.Kind]) < 24*time.Hour {
			continue
		}
		u.warned[d.Kind] = now
		u.log.WarnContext(ctx, "the "+Name(d.Kind)+" is old, so newer vulnerabilities are not found; "+
			"berth scan db status says why no newer one comes", "made", d.UpdatedAt, "age", now.Sub(d.UpdatedAt).Round(time.Minute).String())
	}
	return nil
}
