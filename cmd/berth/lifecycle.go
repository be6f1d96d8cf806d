package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/engine"
)

// lifecycleCommand is about what becomes of images with time.
type lifecycleCommand struct {
	Get     lifecycleGet     `cmd:"" help:"Print the policy of a repository."`
	Set     lifecycleSet     `cmd:"" help:"Give a repository a policy, which a server then applies."`
	Remove  lifecycleRemove  `cmd:"" help:"Take the policy from a repository; what is being done of it stops."`
	Preview lifecyclePreview `cmd:"" help:"Say what a policy would do."`
	Explain lifecycleExplain `cmd:"" help:"Say of each image what a policy would do with it, and why."`
	Run     lifecycleRun     `cmd:"" help:"Apply policies now, and say what went. A server does so by itself."`
	History lifecycleHistory `cmd:"" help:"Say what policies have done in the last year."`
}

// limitFlag is a setting of the server that commands have too.
type limitFlag struct {
	MaxDeletes string `default:"auto" placeholder:"N|N%|auto|off" help:"Images of a repository that one run of its lifecycle policy may delete: a number, a share such as 50%, or off for any number. A run that would delete more does nothing, and says so. By default (auto) one that would delete nine images of ten, leaving fewer than ten."`
}

func (f limitFlag) limit() (lifecycle.Limit, error) {
	l, err := lifecycle.ParseLimit(f.MaxDeletes)
	if err != nil {
		err = fmt.Errorf("--max-deletes %w", err)
	}
	return l, err
}

type lifecycleGet struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the repository."`
}

func (cmd lifecycleGet) Run(ctx context.Context, c console) error {
	name, err := parseRepository(cmd.Name)
	if err != nil {
		return err
	}
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		p, err := e.LifecyclePolicy(ctx, name)
		if err != nil {
			return noPolicy(name, err)
		}
		_, err = fmt.Fprintln(c.out, string(p.Text))
		return err
	})
}

// noPolicy says of which repository ErrNotSet is.
func noPolicy(name registry.Name, err error) error {
	if errors.Is(err, registry.ErrNotSet) {
		return fmt.Errorf("repository %s has no lifecycle policy", name)
	}
	return err
}

type lifecycleSet struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the repository."`
	File      string `arg:"" help:"Lifecycle policy in JSON; - reads standard input."`
}

func (cmd lifecycleSet) Run(ctx context.Context, c console) error {
	p, err := readPolicy(c, cmd.File)
	if err != nil {
		return err
	}
	return cmd.change(ctx, c, cmd.Name, engine.Options{}, func(ctx context.Context, e *engine.Engine, name registry.Name, audit auditLog) error {
		if _, err := e.SetLifecyclePolicy(ctx, name, json.RawMessage(p.Text)); err != nil {
			return err
		}
		audit.repository(ctx, "PutLifecyclePolicy", name)
		_, err := fmt.Fprintf(c.out, "the lifecycle policy of %s is set; a server applies it\n", name)
		return err
	})
}

// readPolicy reads a lifecycle policy from a file.
func readPolicy(c console, file string) (*lifecycle.Policy, error) {
	read := func() ([]byte, error) { return os.ReadFile(file) }
	if file == "-" {
		read = func() ([]byte, error) { return io.ReadAll(c.in) }
	}
	b, err := read()
	if err != nil {
		return nil, err
	}
	return lifecycle.Parse(string(b))
}

type lifecycleRemove struct {
	dataFlags `embed:""`
	Name      string `arg:"" help:"Name of the repository."`
}

func (cmd lifecycleRemove) Run(ctx context.Context, c console) error {
	return cmd.change(ctx, c, cmd.Name, engine.Options{}, func(ctx context.Context, e *engine.Engine, name registry.Name, audit auditLog) error {
		if _, err := e.SetLifecyclePolicy(ctx, name, nil); err != nil {
			return noPolicy(name, err)
		}
		audit.repository(ctx, "DeleteLifecyclePolicy", name)
		_, err := fmt.Fprintf(c.out, "the lifecycle policy of %s is removed\n", name)
		return err
	})
}
