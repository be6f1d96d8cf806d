package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/storage/meta"
)

// scanGateCommand administers gates.
type scanGateCommand struct {
	Set     scanGateSet     `cmd:"" help:"Say which images of some repositories may be pulled."`
	List    scanGateList    `cmd:"" help:"List gates, in the order in which they are asked: the first that is for a repository decides."`
	Remove  scanGateRemove  `cmd:"" help:"Remove a gate."`
	Explain scanGateExplain `cmd:"" help:"Say whether an image may be pulled, by which gate, and why not."`
}

type scanGateSet struct {
	dataFlags  `embed:""`
	authorFlag `embed:""`
	Repository string        `arg:"" help:"Pattern of the repositories that it is for, such as team/*. The most specific gate decides: a name, or else the pattern with the most before its first * or ?."`
	Severity   string        `default:"CRITICAL" help:"Least severity of the vulnerabilities that keep an image from being pulled: CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL, UNDEFINED."`
	Fixable    bool          `help:"Only those for which there is a fix."`
	After      time.Duration `placeholder:"TIME" help:"Only those that were found in the image at least so long ago, such as 7d."`
	Scanned    bool          `help:"Images that were not scanned must not be pulled either."`
	IgnoreVEX  bool          `name:"ignore-vex" help:"Go by exceptions alone: VEX documents, which whoever may push may attach, let no image pass."`
	Mode       string        `default:"block" enum:"block,warn,off" help:"Whether pulls are refused (block), or go on with a warning (warn); off lets all pass, where a wider pattern would not."`
}

func (cmd scanGateSet) Run(ctx context.Context, c console) error {
	severity, err := scan.ParseSeverity(cmd.Severity)
	if err != nil {
		return err
	}
	g := scan.Gate{
		Repository: cmd.Repository, Mode: scan.GateMode(cmd.Mode), Severity: severity, Fixable: cmd.Fixable, After: cmd.After, Scanned: cmd.Scanned,
		IgnoreVEX: cmd.IgnoreVEX, Author: cmd.author(),
	}
	if err := g.Validate(); err != nil {
		return err
	}
	what := []slog.Attr{slog.String("gate", g.Repository), slog.String("rule", g.String())}
	return cmd.changeRules(ctx, c, "SetScanGate", what, func(db *meta.DB) error {
		if err := db.PutGate(ctx, g); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c.out, "the gate of %s %s\n", g.Repository, g); err != nil {
			return err
		}
		return tellUnmatched(ctx, c, db, g.Repository)
	})
}

type scanGateList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
}

func (cmd scanGateList) Run(ctx context.Context, c console) error {
	return cmd.withDatabase(ctx, func(db *meta.DB) error {
		gates, err := db.Gates(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, g := range gates {
			rows = append(rows, []string{g.Repository, string(g.Mode), g.String(), g.Author, formatTime(g.UpdatedAt)})
		}
		return cmd.print(c, append([]scan.Gate{}, gates...), []string{"REPOSITORIES", "MODE", "RULE", "AUTHOR", "SET"}, rows)
	})
}

type scanGateRemove struct {
	dataFlags  `embed:""`
	Repository string `arg:"" help:"Pattern of the gate."`
}

func (cmd scanGateRemove) Run(ctx context.Context, c console) error {
	return cmd.changeRules(ctx, c, "RemoveScanGate", []slog.Attr{slog.String("gate", cmd.Repository)}, func(db *meta.DB) error {
		if err := db.DeleteGate(ctx, cmd.Repository); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "gate of %s removed\n", cmd.Repository)
		return err
	})
}

type scanGateExplain struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Image      string `arg:"" name:"repository:tag" placeholder:"REPO:TAG|REPO@DIGEST" help:"The image, or an index, of which each image is explained."`
}

func (cmd scanGateExplain) Run(ctx context.Context, c console) error {
	name, ref, err := parseImage(cmd.Image)
	if err != nil {
		return err
	}
	if ref == (registry.Reference{}) {
		return errors.New("say which image, as REPO:TAG or REPO@DIGEST")
	}
	return cmd.withDatabase(ctx, func(db *meta.DB) error {
		verdicts, err := explainGate(ctx, db, name, ref)
		if err != nil {
			return withoutHost(name, err)
		}
		if cmd.Output == "json" {
			return printJSON(c, verdicts)
		}
		for i, v := range verdicts {
			if i > 0 {
				fmt.Fprintln(c.out)
			}
			if err := cmd.tell(c, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// explainGate judges an image, or an index and what it lists.
func explainGate(ctx context.Context, db *meta.DB, name registry.Name, ref registry.Reference) ([]scan.Verdict, error) {
	d, err := db.StatManifest(ctx, name, ref)
	if err != nil {
		return nil, err
	}
	keeper := scan.NewGatekeeper(db, nil)
	seen := map[digest.Digest]bool{}
	var verdicts []scan.Verdict
	for list := []digest.Digest{d.Digest}; len(list) > 0; list = list[1:] {
		if seen[list[0]] {
			continue
		}
		seen[list[0]] = true
		v, err := keeper.Judge(ctx, name, registry.Reference{Digest: list[0]})
		if errors.Is(err, registry.ErrManifestUnknown) && len(verdicts) > 0 {
			continue // listed, and not there
		}
		if err != nil {
			return nil, err
		}
		v.Digest = list[0]
		verdicts = append(verdicts, v)
		m, err := db.ArchivedManifest(ctx, name, list[0])
		if err != nil {
			return nil, err
		}
		content, err := registry.ParseManifest(m.MediaType, m.Bytes)
		if err != nil {
			return nil, err
		}
		for _, child := range content.Manifests {
			list = append(list, child.Digest)
		}
	}
	return verdicts, nil
}

// tell says what a gate makes of an image.
func (cmd scanGateExplain) tell(c console, v scan.Verdict) error {
	outcome := "passes"
	if !v.Passes {
		outcome = map[scan.GateMode]string{scan.Block: "is blocked", scan.Warn: "passes with a warning"}[v.Gate.Mode]
	}
	lines := []string{fmt.Sprintf("%s@%s %s: %s", v.Repository, v.Digest, outcome, v.Summary())}
	if v.Gate != nil {
		lines = append(lines, fmt.Sprintf("the gate of %s %s", v.Gate.Repository, v.Gate))
	}
	if v.Excepted > 0 {
		lines = append(lines, count(v.Excepted, "finding")+" taken out by exceptions and VEX documents")
	}
	if _, err := fmt.Fprintln(c.out, strings.Join(lines, "\n")); err != nil || len(v.Findings) == 0 {
		return err
	}
	var rows [][]string
	for _, f := range v.Findings {
		rows = append(rows, []string{string(f.Severity), f.ID, f.Package, f.Installed, f.Fixed, formatTime(f.FirstFoundAt)})
	}
	if more := v.Total - len(v.Findings); more > 0 {
		rows = append(rows, []string{fmt.Sprintf("… and %d more", more)})
	}
	return cmd.print(c, nil, []string{"SEVERITY", "ID", "PACKAGE", "INSTALLED", "FIXED IN", "FIRST FOUND"}, rows)
}
