package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"berth/scan"
	"berth/storage/meta"
)

// scanExceptionCommand administers exceptions.
type scanExceptionCommand struct {
	Add    scanExceptionAdd    `cmd:"" help:"Take a vulnerability out of reports and of what gates go by."`
	List   scanExceptionList   `cmd:"" help:"List exceptions."`
	Remove scanExceptionRemove `cmd:"" help:"Remove an exception."`
}

// deadline is a time to come, as people write it.
type deadline time.Time

// UnmarshalText reads a time, a day, at whose end it is, or how long it is until then.
func (d *deadline) UnmarshalText(text []byte) error {
	s := string(text)
	if left, err := parseDuration(s); err == nil {
		*d = deadline(time.Now().Add(left).Truncate(time.Second))
		return nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		*d = deadline(t)
		return nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		*d = deadline(t.AddDate(0, 0, 1))
		return nil
	}
	return fmt.Errorf("%q: it should look like 2026-12-31, 2026-12-31T15:04:05Z, or 30d for so long from now", s)
}

type scanExceptionAdd struct {
	dataFlags     `embed:""`
	authorFlag    `embed:""`
	Vulnerability string   `arg:"" help:"What the vulnerability is called, such as CVE-2024-1234; * and ? stand for others."`
	Package       string   `placeholder:"PATTERN" help:"Only in packages of this name; * and ? stand for others."`
	Repository    string   `default:"*" placeholder:"PATTERN" help:"Only in repositories of this name, such as team/*; all of them if it is left out."`
	Reason        string   `required:"" placeholder:"TEXT" help:"Why it does not matter, for those who read it later."`
	Expires       deadline `placeholder:"DATE" help:"When it ends: the last day, such as 2026-12-31 (UTC), a time, or 30d for so long from now."`
}

func (cmd scanExceptionAdd) Run(ctx context.Context, c console) error {
	x := scan.Exception{
		Vulnerability: cmd.Vulnerability, Package: cmd.Package, Repository: cmd.Repository, Reason: cmd.Reason,
		Author: cmd.author(), ExpiresAt: time.Time(cmd.Expires).UTC(),
	}
	if time.Time(cmd.Expires).IsZero() {
		x.ExpiresAt = time.Time{}
	}
	if err := x.Validate(time.Now()); err != nil {
		return err
	}
	what := []slog.Attr{
		slog.String("vulnerability", x.Vulnerability), slog.String("package", x.Package), slog.String("repository", x.Repository),
		slog.String("reason", x.Reason), slog.String("author", x.Author),
	}
	return cmd.changeRules(ctx, c, "AddScanException", what, func(db *meta.DB) error {
		x, err := db.AddException(ctx, x)
		if err != nil {
			return err
		}
		if x.ExpiresAt.IsZero() {
			fmt.Fprintln(c.err, "berth: the exception never expires, and so nobody will look at it again; --expires says when it is to end")
		}
		if _, err = fmt.Fprintf(c.out, "exception %d for %s in %s added\n", x.ID, x.Vulnerability, x.Repository); err != nil {
			return err
		}
		return tellUnmatched(ctx, c, db, x.Repository)
	})
}

type scanExceptionList struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Expired    bool `help:"Also those that have expired."`
}

func (cmd scanExceptionList) Run(ctx context.Context, c console) error {
	return cmd.withDatabase(ctx, func(db *meta.DB) error {
		listed := []scan.Exception{}
		var rows [][]string
		const page = 500
		now := time.Now()
		for last, n := int64(0), page; n == page; {
			found, err := db.Exceptions(ctx, last, page)
			if err != nil {
				return err
			}
			n = len(found)
			for _, x := range found {
				last = x.ID
				if !cmd.Expired && !x.InForce(now) {
					continue
				}
				listed = append(listed, x)
				rows = append(rows, []string{
					strconv.FormatInt(x.ID, 10), x.Vulnerability, cmp.Or(x.Package, "*"), x.Repository, formatTime(x.ExpiresAt), x.Author, x.Reason,
				})
			}
		}
		return cmd.print(c, listed, []string{"ID", "VULNERABILITY", "PACKAGE", "REPOSITORY", "EXPIRES", "AUTHOR", "REASON"}, rows)
	})
}

type scanExceptionRemove struct {
	dataFlags `embed:""`
	ID        int64 `arg:"" help:"Number of the exception."`
}

func (cmd scanExceptionRemove) Run(ctx context.Context, c console) error {
	return cmd.changeRules(ctx, c, "RemoveScanException", []slog.Attr{slog.Int64("exception", cmd.ID)}, func(db *meta.DB) error {
		x, err := db.DeleteException(ctx, cmd.ID)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "exception %d for %s in %s removed\n", x.ID, x.Vulnerability, x.Repository)
		return err
	})
}
