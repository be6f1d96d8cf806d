package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
)

// tagCommand is about where tags point and pointed.
type tagCommand struct {
	History  tagHistory  `cmd:"" help:"List how tags have moved, the last time first; or say what a tag pointed at at a time."`
	Rollback tagRollback `cmd:"" help:"Point a tag at an image that it pointed at before."`
}

// historyFlag is a setting of the server that commands ask for too.
type historyFlag struct {
	TagHistory time.Duration `default:"8760h" help:"How long it is told how tags have moved; 0 for ever."`
}

// moment is a time in the past, as people write it.
type moment time.Time

// UnmarshalText reads a time, a day, which begins at midnight UTC, or how long ago it was. Of a
// time in seconds the end of the second is meant: berth prints times so, and what happened in
// that second has happened then.
func (m *moment) UnmarshalText(text []byte) error {
	s := string(text)
	if ago, err := parseDuration(s); err == nil {
		*m = moment(time.Now().Add(-ago))
		return nil
	}
	for _, form := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			if form == time.RFC3339 || form == time.DateTime {
				t = t.Truncate(time.Microsecond)
				if t.Nanosecond() == 0 {
					t = t.Add(time.Second - time.Microsecond)
				}
			}
			*m = moment(t)
			return nil
		}
	}
	return fmt.Errorf("%q: it should look like 2026-01-31T15:04:05Z, 2026-01-31, or 36h or 7d for so long ago", s)
}

type tagHistory struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Of         string `arg:"" name:"repository[:tag]" placeholder:"REPO[:TAG]" help:"The tag, or all tags of a repository, which may be gone."`
	At         moment `placeholder:"DATE" help:"Print what the tag pointed at then, for docker pull HOST/…: a time such as 2026-01-31T15:04:05Z, the beginning of a day (UTC), or 36h or 7d for so long ago."`
	Limit      int    `default:"100" help:"How many changes to list; 0 for all."`
}

type listedChange struct {
	Tag    registry.Tag  `json:"tag"`
	Digest digest.Digest `json:"digest,omitempty"` // empty if the tag went
	Was    digest.Digest `json:"was,omitempty"`    // empty if it was not there
	At     time.Time     `json:"at,omitzero"`
	By     string        `json:"by,omitempty"`
	Why    string        `json:"reason,omitempty"`
}

func listChange(c registry.TagChange) listedChange {
	return listedChange{c.Tag, c.Digest, c.Was, c.At, c.By, c.Why}
}

func (cmd tagHistory) Run(ctx context.Context, c console) error {
	name, ref, err := parseImage(cmd.Of)
	if err != nil {
		return err
	}
	if ref.Digest != "" {
		return errors.New("tags have a history, images have none: give REPO or REPO:TAG")
	}
	at := time.Time(cmd.At)
	if !at.IsZero() && ref.Tag == "" {
		return errors.New("--at is about one tag: give REPO:TAG")
	}
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		if !at.IsZero() {
			return cmd.then(ctx, c, e, name, ref.Tag, at)
		}
		listed := []listedChange{}
		var rows [][]string
		q := registry.TagHistoryQuery{Tag: ref.Tag}
		for cmd.Limit == 0 || len(listed) < cmd.Limit {
			q.Limit = 1000
			if cmd.Limit > 0 {
				q.Limit = min(q.Limit, cmd.Limit-len(listed))
			}
			page, err := e.TagHistory(ctx, name, q)
			if err != nil {
				return err
			}
			for _, x := range page {
				q.Last = x.ID
				listed = append(listed, listChange(x))
				rows = append(rows, []string{formatTime(x.At), string(x.Tag), orNone(x.Digest), orNone(x.Was), x.By, x.Why})
			}
			if len(page) < q.Limit {
				break
			}
		}
		return cmd.print(c, listed, []string{"AT", "TAG", "DIGEST", "BEFORE", "BY", "WHY"}, rows)
	})
}

func orNone(d digest.Digest) string {
	if d == "" {
		return "none"
	}
	return string(d)
}

// then tells what a tag pointed at.
func (cmd tagHistory) then(ctx context.Context, c console, e *engine.Engine, name registry.Name, t registry.Tag, at time.Time) error {
	x, err := e.TagAt(ctx, name, t, at)
	if err != nil {
		return err
	}
	if x.At.IsZero() {
		fmt.Fprintln(c.err, "no change of the tag is known up to then; it is taken to have pointed where the first one found it")
	}
	if cmd.Output == "json" {
		return printJSON(c, listChange(x))
	}
	_, err = fmt.Fprintf(c.out, "%s@%s\n", name, x.Digest)
	return err
}

type tagRollback struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Tag        string   `arg:"" name:"repository:tag" placeholder:"REPO:TAG" help:"The tag."`
	To         string   `xor:"target" placeholder:"DIGEST" help:"The image that it shall point at, there or deleted; by default the one that the tag pointed at before."`
	At         moment   `xor:"target" placeholder:"DATE" help:"Point it at what it pointed at then: a time such as 2026-01-31T15:04:05Z, the beginning of a day (UTC), or 36h or 7d for so long ago."`
	Sparse     []string `placeholder:"PATTERN" help:"As for serve: repositories whose manifests may be incomplete."`
}

func (cmd tagRollback) Run(ctx context.Context, c console) error {
	name, ref, err := parseImage(cmd.Tag)
	if err != nil {
		return err
	}
	if ref.Tag == "" {
		return errors.New("give the tag as REPO:TAG")
	}
	to := registry.RollbackTarget{At: time.Time(cmd.At)}
	if cmd.To != "" {
		if to.Digest, err = registry.ParseDigest(cmd.To); err != nil {
			return err
		}
	}
	opts := engine.Options{AllowSparse: matchAny(cmd.Sparse)}
	return cmd.change(ctx, c, string(name), opts, func(ctx context.Context, e *engine.Engine, name registry.Name, audit auditLog) error {
		x, restored, err := e.RollbackTag(ctx, name, ref.Tag, to)
		if err != nil {
			return err
		}
		audit.image(ctx, "RollbackTag", name, []registry.ImageID{{Digest: x.Digest, Tag: ref.Tag}})
		if cmd.Output == "json" {
			return printJSON(c, struct {
				listedChange
				Restored bool `json:"restored"` // the image had been deleted
			}{listChange(x), restored.New})
		}
		line := fmt.Sprintf("%s:%s points at %s again; before at %s", name, ref.Tag, x.Digest, orNone(x.Was))
		if restored.New {
			line += "; the image was restored for it"
		}
		_, err = fmt.Fprintln(c.out, line)
		return err
	})
}
