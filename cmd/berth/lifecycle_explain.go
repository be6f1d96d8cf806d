package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
)

// policyFlag is another policy than that of the repository.
type policyFlag struct {
	Policy string `placeholder:"FILE" help:"Try out this policy in JSON, in place of that of the repository; - reads standard input."`
}

// withSnapshot calls do with the images of a repository and the policy to hold against them.
func (f policyFlag) withSnapshot(ctx context.Context, c console, data dataFlags, name registry.Name, do func(lifecycle.Snapshot, *lifecycle.Policy) error) error {
	db, err := data.openDatabase(ctx)
	if err != nil {
		return err
	}
	s, err := db.LifecycleSnapshot(ctx, name)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	var p *lifecycle.Policy
	switch {
	case f.Policy != "":
		p, err = readPolicy(c, f.Policy)
	case s.Policy == "":
		err = noPolicy(name, registry.ErrNotSet)
	default:
		p, err = lifecycle.Parse(s.Policy)
	}
	if err != nil {
		return err
	}
	return do(s, p)
}

type lifecyclePreview struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	policyFlag `embed:""`
	limitFlag  `embed:""`
	Name       string `arg:"" help:"Name of the repository."`
}

func (cmd lifecyclePreview) Run(ctx context.Context, c console) error {
	name, err := parseRepository(cmd.Name)
	if err != nil {
		return err
	}
	most, err := cmd.limit()
	if err != nil {
		return err
	}
	return cmd.withSnapshot(ctx, c, cmd.dataFlags, name, func(s lifecycle.Snapshot, p *lifecycle.Policy) error {
		var told []toldVerdict
		for _, v := range lifecycle.Explain(p, s.Images, s.At) {
			if v.Outcome != lifecycle.Kept {
				told = append(told, newToldVerdict(v))
			}
		}
		if err := cmd.print(c, nonNil(told), verdictHeadings, rowsOf(told)); err != nil || cmd.Output == "json" {
			return err
		}
		fmt.Fprintln(c.out, foretell(p, s, most))
		return nil
	})
}

// foretell says in short what a run would do.
func foretell(p *lifecycle.Policy, s lifecycle.Snapshot, most lifecycle.Limit) string {
	taken, blocked := lifecycle.Decide(p, s.Images, s.At)
	var expired, archived, untagged int
	for _, d := range taken {
		switch {
		case len(d.Tags) > 0:
			untagged++
		case d.Action == lifecycle.Expire:
			expired++
		default:
			archived++
		}
	}
	line := fmt.Sprintf("%d of %d images would expire", expired, len(s.Images))
	if archived > 0 {
		line += fmt.Sprintf(", %d be archived", archived)
	}
	if untagged > 0 {
		line += fmt.Sprintf(", %d stay and lose tags", untagged)
	}
	if len(blocked) > 0 {
		line += fmt.Sprintf("; %d more when the indexes that list them have gone", len(blocked))
	}
	if reason := most.Stops(p, s, taken, blocked, false); reason != "" {
		line += "\na run would do nothing: " + reason
	}
	return line
}

type lifecycleExplain struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	policyFlag `embed:""`
	Image      string `arg:"" placeholder:"REPO[:TAG|@DIGEST]" help:"Repository, for all its images, or an image."`
}

func (cmd lifecycleExplain) Run(ctx context.Context, c console) error {
	name, ref, err := parseImage(cmd.Image)
	if err != nil {
		return err
	}
	return cmd.withSnapshot(ctx, c, cmd.dataFlags, name, func(s lifecycle.Snapshot, p *lifecycle.Policy) error {
		var told []toldVerdict
		for _, v := range lifecycle.Explain(p, s.Images, s.At) {
			if ref == (registry.Reference{}) || v.Image.Digest == ref.Digest || ref.Tag != "" && slices.Contains(v.Image.Tags, ref.Tag) {
				told = append(told, newToldVerdict(v))
			}
		}
		if len(told) == 0 && ref != (registry.Reference{}) {
			return fmt.Errorf("there is no image %s", cmd.Image)
		}
		return cmd.print(c, nonNil(told), verdictHeadings, rowsOf(told))
	})
}

// toldVerdict is what becomes of an image, as commands tell it.
type toldVerdict struct {
	Digest  digest.Digest     `json:"digest"`
	Tags    []registry.Tag    `json:"tags,omitempty"`
	Outcome lifecycle.Outcome `json:"outcome"`
	Rule    int               `json:"rule,omitempty"`
	Action  lifecycle.Action  `json:"action,omitempty"`
	Expires []registry.Tag    `json:"expiringTags,omitempty"` // if only these go
	Reason  string            `json:"reason"`
}

func newToldVerdict(v lifecycle.Verdict) toldVerdict {
	return toldVerdict{v.Image.Digest, v.Image.Tags, v.Outcome, v.Rule, v.Decision.Action, v.Decision.Tags, v.Reason}
}

var verdictHeadings = []string{"IMAGE", "TAGS", "OUTCOME", "REASON"}

func rowsOf(told []toldVerdict) (rows [][]string) {
	for _, v := range told {
		outcome := string(v.Outcome)
		if v.Outcome == lifecycle.Taken {
			switch {
			case len(v.Expires) > 0:
				outcome = "loses tags"
			case v.Action == lifecycle.Transition:
				outcome = "archived"
			default:
				outcome = "expires"
			}
		}
		rows = append(rows, []string{string(v.Digest), join(v.Tags), outcome, v.Reason})
	}
	return rows
}

// nonNil is a list that JSON does not call null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
