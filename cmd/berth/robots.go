package main

import (
	"context"
	"time"

	"berth/auth"
	"berth/storage/meta"
)

type robotAdd struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Name       string        `arg:"" help:"Name of the robot."`
	Expires    time.Duration `help:"How long the robot lives, such as 2160h; by default for ever."`
	Policy     []string      `placeholder:"POLICY" help:"Attach this policy, such as ${power_user}; see berth policy list."`
}

func (cmd robotAdd) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error {
		_, secret, err := m.CreateRobot(ctx, cmd.Name, expiry(cmd.Expires), cmd.Policy...)
		if err != nil {
			return err
		}
		return cmd.printSecret(c, cmd.Name, secret)
	})
}

type robotRotate struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Name       string `arg:"" help:"Name of the robot."`
}

func (cmd robotRotate) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error {
		secret, err := m.ResetSecret(ctx, cmd.Name)
		if err != nil {
			return err
		}
		return cmd.printSecret(c, cmd.Name, secret)
	})
}

func (f outputFlag) printSecret(c console, name, secret string) error {
	return f.print(c, map[string]string{"name": name, "secret": secret}, []string{"NAME", "SECRET (shown once)"}, [][]string{{name, secret}})
}

type robotExpire struct {
	dataFlags `embed:""`
	Name      string        `arg:"" help:"Name of the robot."`
	In        time.Duration `arg:"" optional:"" help:"How long it lives from now; left out: for ever."`
}

func (cmd robotExpire) Run(ctx context.Context, c console) error {
	return cmd.withManager(ctx, c, func(m *auth.Manager, _ *meta.DB) error {
		return m.SetExpiry(ctx, cmd.Name, expiry(cmd.In))
	})
}

// expiry is when something that lives for d from now ends; zero means never.
func expiry(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d).UTC().Truncate(time.Second)
}
