package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"berth/lifecycle"
	"berth/registry"
	"berth/storage/meta"
)

// lifecycleRun applies policies in this process.
type lifecycleRun struct {
	dataFlags      `embed:""`
	outputFlag     `embed:""`
	limitFlag      `embed:""`
	Name           string        `arg:"" optional:"" help:"Name of the repository."`
	All            bool          `help:"Of all repositories that have a policy."`
	Force          bool          `help:"Do it once even if the run deletes more than --max-deletes or its policy allows."`
	LifecycleEvery time.Duration `default:"12h" hidden:"" help:"As for serve: when the next run comes."`
}

// ranPolicy is a run and what went in it.
type ranPolicy struct {
	lifecycle.Run
	Events []lifecycle.Event `json:"events"`
}

func (cmd lifecycleRun) Run(ctx context.Context, c console) error {
	if (cmd.Name == "") != cmd.All {
		return errors.New("give the name of a repository, or --all")
	}
	most, err := cmd.limit()
	if err != nil {
		return err
	}
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	p := lifecycle.NewPruner(db, lifecycle.Options{
		Every: cmd.LifecycleEvery, Limit: most, Logger: newLogger(c.err, "text", slog.LevelError),
	})
	return errors.Join(cmd.run(ctx, c, db, p), db.Close())
}

func (cmd lifecycleRun) run(ctx context.Context, c console, db *meta.DB, p *lifecycle.Pruner) error {
	if !cmd.All {
		name, err := parseRepository(cmd.Name)
		if err != nil {
			return err
		}
		ran, err := cmd.one(ctx, db, p, name)
		if err != nil {
			return noPolicy(name, err)
		}
		return cmd.tell(c, []ranPolicy{ran})
	}
	all := []ranPolicy{}
	const page = 100
	for last := registry.Name(""); ; {
		names, err := db.RepositoriesWithLifecycle(ctx, last, page)
		if err != nil {
			return err
		}
		for _, name := range names {
			last = name
			ran, err := cmd.one(ctx, db, p, name)
			if errors.Is(err, registry.ErrNameUnknown) || errors.Is(err, registry.ErrNotSet) {
				continue // gone since it was listed
			}
			if err != nil {
				return errors.Join(cmd.tell(c, all), fmt.Errorf("repository %s: %w", name, err))
			}
			all = append(all, ran)
		}
		if len(names) < page {
			return cmd.tell(c, all)
		}
	}
}

// one applies the policy of a repository.
func (cmd lifecycleRun) one(ctx context.Context, db *meta.DB, p *lifecycle.Pruner, name registry.Name) (ranPolicy, error) {
	run, err := p.RunNow(ctx, name, cmd.Force)
	ran := ranPolicy{run, []lifecycle.Event{}}
	const page = 1000
	for before := int64(0); err == nil; {
		var events []lifecycle.Event
		events, err = db.LifecycleEvents(ctx, name, before, page)
		for _, e := range events {
			if e.Run != run.ID {
				return ran, nil
			}
			before = e.ID
			ran.Events = append(ran.Events, e)
		}
		if len(events) < page {
			break
		}
	}
	return ran, err
}

// tell tells what went. It fails if a policy was not applied.
func (cmd lifecycleRun) tell(c console, all []ranPolicy) error {
	var failed error
	for _, ran := range all {
		if ran.State != lifecycle.Done {
			failed = errors.Join(failed, fmt.Errorf("repository %s: %s: %s", ran.Repository, ran.State, ran.Reason))
		}
	}
	if cmd.Output == "json" {
		return errors.Join(printJSON(c, all), failed)
	}
	for _, ran := range all {
		if len(ran.Events) > 0 {
			if err := cmd.print(c, nil, eventHeadings, eventRows(ran.Events)); err != nil {
				return err
			}
		}
		fmt.Fprintf(c.out, "%s: %d of %d images expired, %d archived, %d tags expired", ran.Repository, ran.Expired, ran.Images, ran.Archived, ran.Untagged)
		if ran.Blocked > 0 {
			fmt.Fprintf(c.out, "; %d more can go when the indexes that list them have gone", ran.Blocked)
		}
		if ran.Skipped > 0 {
			fmt.Fprintf(c.out, "; %d changed meanwhile and are looked at again", ran.Skipped)
		}
		fmt.Fprintln(c.out)
	}
	return failed
}
