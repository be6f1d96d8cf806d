package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
)

// scanConfigCommand is about which images are scanned without anyone asking.
type scanConfigCommand struct {
	Show scanConfigShow `cmd:"" default:"1" help:"Show which repositories are scanned."`
	Set  scanConfigSet  `cmd:"" help:"Say which repositories are scanned, in place of what was said before, as PutRegistryScanningConfiguration does."`
}

type scanConfigShow struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd scanConfigShow) Run(ctx context.Context, c console) error {
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		kept, err := e.Setting(ctx, registry.ScanningSetting)
		if err != nil && !errors.Is(err, registry.ErrNotSet) {
			return err
		}
		configuration, err := scan.ParseConfiguration(kept)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, rule := range configuration.Rules {
			rows = append(rows, []string{string(configuration.Mode), string(rule.Frequency), filters(rule)})
		}
		if rows == nil {
			rows = [][]string{{string(configuration.Mode), "each repository by its own setting", ""}}
		}
		return cmd.print(c, configuration, []string{"MODE", "SCANNED", "FILTERS"}, rows)
	})
}

func filters(r scan.Rule) string {
	var all []string
	for _, f := range r.Filters {
		all = append(all, f.Filter)
	}
	return strings.Join(all, " ")
}

type scanConfigSet struct {
	dataFlags  `embed:""`
	Mode       string   `default:"BASIC" enum:"BASIC,ENHANCED" help:"How findings are shown over the API of ECR: ${enum}."`
	OnPush     []string `placeholder:"FILTER" help:"Repositories whose images are scanned on push: a part of their names, or a whole name in which * stands for any characters."`
	Continuous []string `placeholder:"FILTER" help:"The same in mode ENHANCED, shown as scanned continuously."`
}

func (cmd scanConfigSet) Run(ctx context.Context, c console) error {
	configuration, err := scan.NewConfiguration(scan.Mode(cmd.Mode), cmd.OnPush, cmd.Continuous)
	if err != nil {
		return err
	}
	text, err := json.Marshal(configuration)
	if err != nil {
		return err
	}
	audit, err := cmd.audit(c)
	if err != nil {
		return err
	}
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		if _, err := e.SetSetting(ctx, registry.ScanningSetting, text); err != nil {
			return err
		}
		audit.write(ctx, "changed", []slog.Attr{slog.String("who", audit.who), slog.String("action", "PutRegistryScanningConfiguration")})
		if len(configuration.Rules) == 0 {
			_, err = fmt.Fprintln(c.out, "each repository is scanned as its own setting says")
			return err
		}
		for _, rule := range configuration.Rules {
			if _, err := fmt.Fprintf(c.out, "%s: %s\n", rule.Frequency, filters(rule)); err != nil {
				return err
			}
		}
		return nil
	})
}
