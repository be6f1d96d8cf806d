package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"berth/registry"
	"berth/registry/engine"
)

// usageCommand says how much room images take.
type usageCommand struct {
	Show usageShow `cmd:"" default:"withargs" help:"Say how many bytes a repository uses, or all."`
	Free usageFree `cmd:"" help:"Say how many bytes would be free if a repository, a tag or an image were deleted."`
}

type usageShow struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Repository string `arg:"" optional:"" help:"Name of a repository; all if it is left out."`
}

// usageReport is what usage tells.
type usageReport struct {
	Repositories []registry.RepositoryUsage `json:"repositories"`
	Total        int64                      `json:"total"` // of the registry, each blob once
}

func (cmd usageShow) Run(ctx context.Context, c console) error {
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		report := usageReport{Repositories: []registry.RepositoryUsage{}}
		var err error
		if report.Repositories, err = cmd.usages(ctx, e); err != nil {
			return err
		}
		if report.Total, err = e.RegistryUsage(ctx); err != nil {
			return err
		}
		var rows [][]string
		for _, u := range report.Repositories {
			rows = append(rows, []string{string(u.Repository), strconv.Itoa(u.Images), formatBytes(u.Unique), formatBytes(u.Shared)})
		}
		if err := cmd.print(c, report, []string{"REPOSITORY", "IMAGES", "UNIQUE", "SHARED"}, rows); err != nil || cmd.Output == "json" {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%s in the registry, each blob counted once\n", formatBytes(report.Total))
		return err
	})
}

func (cmd usageShow) usages(ctx context.Context, e *engine.Engine) ([]registry.RepositoryUsage, error) {
	if cmd.Repository != "" {
		name, err := parseRepository(cmd.Repository)
		if err != nil {
			return nil, err
		}
		u, err := e.RepositoryUsage(ctx, name)
		return []registry.RepositoryUsage{u}, err
	}
	all := []registry.RepositoryUsage{}
	for name, err := range allRepositories(ctx, e) {
		if err != nil {
			return nil, err
		}
		u, err := e.RepositoryUsage(ctx, name)
		if errors.Is(err, registry.ErrNameUnknown) {
			continue // deleted since it was listed
		}
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

type usageFree struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	What       string `arg:"" placeholder:"REPO[:TAG|@DIGEST]" help:"Repository, tag or image."`
}

func (cmd usageFree) Run(ctx context.Context, c console) error {
	name, ref, err := parseImage(cmd.What)
	if err != nil {
		return err
	}
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		f, err := e.Freed(ctx, name, ref)
		if err != nil {
			return err
		}
		if cmd.Output == "json" {
			return printJSON(c, f)
		}
		switch {
		case f.HeldBy != "":
			_, err = fmt.Fprintf(c.out, "nothing: %s\n", f.HeldBy)
		case len(f.Images) > 1:
			_, err = fmt.Fprintf(c.out, "%s, with %d images that belong to it and have to be deleted too\n", formatBytes(f.Bytes), len(f.Images)-1)
		default:
			_, err = fmt.Fprintln(c.out, formatBytes(f.Bytes))
		}
		return err
	})
}
