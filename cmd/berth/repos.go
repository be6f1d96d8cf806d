package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"berth/registry"
	"berth/registry/engine"
)

// repoCommand administers repositories.
type repoCommand struct {
	List   repoList   `cmd:"" help:"List repositories."`
	Create repoCreate `cmd:"" help:"Create a repository, which pushes need with --no-create-on-push."`
	Show   repoShow   `cmd:"" help:"Show the tags of a repository."`
	Delete repoDelete `cmd:"" help:"Delete a repository."`
}

// withEngine calls do with the registry itself, no guard in front.
func (f dataFlags) withEngine(ctx context.Context, opts engine.Options, do func(*engine.Engine) error) error {
	e, closeDB, err := f.openEngine(ctx, opts)
	if err != nil {
		return err
	}
	return errors.Join(do(e), closeDB())
}

// change calls do with the registry, the repository that is to change, and what writes it down.
// The context that do gets says who is behind it.
func (f dataFlags) change(ctx context.Context, c console, repo string, opts engine.Options,
	do func(context.Context, *engine.Engine, registry.Name, auditLog) error,
) error {
	name, err := parseRepository(repo)
	if err != nil {
		return err
	}
	audit, err := f.audit(c)
	if err != nil {
		return err
	}
	return f.withEngine(ctx, opts, func(e *engine.Engine) error {
		return do(registry.WithCause(ctx, registry.Cause{By: audit.who}), e, name, audit)
	})
}

type repoList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

type listedRepository struct {
	Name      registry.Name `json:"name"`
	CreatedAt time.Time     `json:"createdAt"`
}

func (cmd repoList) Run(ctx context.Context, c console) error {
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		listed := []listedRepository{}
		var rows [][]string
		for name, err := range allRepositories(ctx, e) {
			if err != nil {
				return err
			}
			r, err := e.Repository(ctx, name)
			if errors.Is(err, registry.ErrNameUnknown) {
				continue // deleted since it was listed
			}
			if err != nil {
				return err
			}
			listed = append(listed, listedRepository{name, r.CreatedAt})
			rows = append(rows, []string{string(name), formatTime(r.CreatedAt)})
		}
		return cmd.print(c, listed, []string{"NAME", "CREATED"}, rows)
	})
}

// repositoryLister lists repositories a page at a time.
type repositoryLister interface {
	Repositories(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error)
}

// allRepositories are the names of all repositories, in order. After an error there are no more.
func allRepositories(ctx context.Context, l repositoryLister) iter.Seq2[registry.Name, error] {
	const page = 1000
	return func(yield func(registry.Name, error) bool) {
		for last := registry.Name(""); ; {
			names, err := l.Repositories(ctx, last, page)
			if err != nil {
				yield("", err)
				return
			}
			for _, name := range names {
				last = name
				if !yield(name, nil) {
					return
				}
			}
			if len(names) < page {
				return
			}
		}
	}
}

type repoCreate struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the repository."`
}

func (cmd repoCreate) Run(ctx context.Context, c console) error {
	return cmd.change(ctx, c, cmd.Name, engine.Options{}, func(ctx context.Context, e *engine.Engine, name registry.Name, audit auditLog) error {
		_, err := e.CreateRepository(ctx, name, registry.Settings{})
		if errors.Is(err, registry.ErrNameTaken) {
			return fmt.Errorf("repository %s is there already", name)
		}
		if err != nil {
			return err
		}
		audit.repository(ctx, "CreateRepository", name)
		fmt.Fprintf(c.out, "repository %s created\n", name)
		return nil
	})
}

type repoShow struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Name       string `arg:"" help:"Name of the repository."`
}

type listedTag struct {
	Tag       registry.Tag `json:"tag"`
	Digest    string       `json:"digest"`
	MediaType string       `json:"mediaType"`
	Size      int64        `json:"size"`
}

func (cmd repoShow) Run(ctx context.Context, c console) error {
	name, err := parseRepository(cmd.Name)
	if err != nil {
		return err
	}
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		listed := []listedTag{}
		var rows [][]string
		const page = 1000
		for last := registry.Tag(""); ; {
			tags, err := e.Tags(ctx, name, last, page)
			if err != nil {
				return err
			}
			for _, t := range tags {
				last = t
				d, err := e.StatManifest(ctx, name, registry.Reference{Tag: t})
				if errors.Is(err, registry.ErrManifestUnknown) {
					continue // deleted since it was listed
				}
				if err != nil {
					return err
				}
				listed = append(listed, listedTag{t, d.Digest.String(), d.MediaType, d.Size})
				rows = append(rows, []string{string(t), d.Digest.String(), d.MediaType})
			}
			if len(tags) < page {
				break
			}
		}
		return cmd.print(c, listed, []string{"TAG", "DIGEST", "TYPE"}, rows)
	})
}

type repoDelete struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the repository."`
	Force     bool   `help:"Delete it even if it still holds images."`
}

func (cmd repoDelete) Run(ctx context.Context, c console) error {
	return cmd.change(ctx, c, cmd.Name, engine.Options{}, func(ctx context.Context, e *engine.Engine, name registry.Name, audit auditLog) error {
		err := e.DeleteRepository(ctx, name, cmd.Force)
		if errors.Is(err, registry.ErrNotEmpty) {
			return fmt.Errorf("%w; --force deletes them too", err)
		}
		if err == nil {
			audit.repository(ctx, "DeleteRepository", name)
			fmt.Fprintf(c.out, "repository %s deleted\n", name)
		}
		return err
	})
}
