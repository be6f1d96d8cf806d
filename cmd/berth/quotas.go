package main

import (
	"context"
	"fmt"
	"log/slog"

	"berth/registry"
	"berth/registry/engine"
)

// quotaCommand administers how much room repositories may take.
type quotaCommand struct {
	Set    quotaSet    `cmd:"" help:"Bound the bytes that the repositories under a prefix may have together."`
	List   quotaList   `cmd:"" help:"List quotas, and how much of them is used."`
	Remove quotaRemove `cmd:"" help:"Remove a quota."`
}

type quotaSet struct {
	dataFlags `embed:""`
	Prefix    string `arg:"" help:"Prefix of names: team is for team and team/app. ROOT is for all."`
	Size      string `arg:"" help:"How many bytes, such as 50GiB."`
}

func (cmd quotaSet) Run(ctx context.Context, c console) error {
	size, err := registry.ParseSize(cmd.Size)
	if err != nil {
		return err
	}
	return cmd.changeQuota(ctx, c, cmd.Prefix, "SetQuota", func(e *engine.Engine, prefix string) error {
		if err := e.SetQuota(ctx, prefix, size); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "quota of %s for %s set\n", formatBytes(size), prefix)
		return err
	})
}

// changeQuota calls do with the registry and a prefix, and writes it down.
func (f dataFlags) changeQuota(ctx context.Context, c console, prefix, action string, do func(*engine.Engine, string) error) error {
	prefix, err := registry.ParseQuotaPrefix(prefix)
	if err != nil {
		return err
	}
	return f.audited(ctx, c, action, slog.String("prefix", prefix), func(e *engine.Engine) error { return do(e, prefix) })
}

type quotaList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd quotaList) Run(ctx context.Context, c console) error {
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		all, err := e.Quotas(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, q := range all {
			rows = append(rows, []string{q.Prefix, formatBytes(q.Bytes), formatBytes(q.Used), perCent(q)})
		}
		return cmd.print(c, append([]registry.Quota{}, all...), []string{"PREFIX", "QUOTA", "USED", "PER CENT"}, rows)
	})
}

func perCent(q registry.Quota) string {
	if q.Bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", 100*float64(q.Used)/float64(q.Bytes))
}

type quotaRemove struct {
	dataFlags `embed:""`
	Prefix    string `arg:"" help:"Prefix that it is for."`
}

func (cmd quotaRemove) Run(ctx context.Context, c console) error {
	return cmd.changeQuota(ctx, c, cmd.Prefix, "RemoveQuota", func(e *engine.Engine, prefix string) error {
		if err := e.RemoveQuota(ctx, prefix); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "quota for %s removed\n", prefix)
		return err
	})
}
