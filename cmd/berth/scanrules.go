package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/user"

	"berth/registry"
	"berth/storage/meta"
)

// scanRulesCommands are about what becomes of vulnerabilities that are found.
type scanRulesCommands struct {
	Exception scanExceptionCommand `cmd:"" help:"Vulnerabilities that do not matter, or not yet."`
	VEX       scanVEXCommand       `cmd:"" name:"vex" help:"VEX documents that were pushed beside images."`
	Gate      scanGateCommand      `cmd:"" help:"Which images may be pulled, by their vulnerabilities."`
	Trend     scanTrend            `cmd:"" help:"How many vulnerabilities a repository had day by day."`
}

// withDatabase calls do with the database.
func (f dataFlags) withDatabase(ctx context.Context, do func(*meta.DB) error) error {
	db, err := f.openDatabase(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

// changeRules calls do with the database, and tells of the change that it makes to what.
func (f dataFlags) changeRules(ctx context.Context, c console, action string, what []slog.Attr, do func(*meta.DB) error) error {
	audit, err := f.audit(c)
	if err != nil {
		return err
	}
	return f.withDatabase(ctx, func(db *meta.DB) error {
		err := do(db)
		if err == nil {
			audit.write(ctx, "changed", append([]slog.Attr{slog.String("who", audit.who), slog.String("action", action)}, what...))
		}
		return err
	})
}

// tellUnmatched says so if a pattern is for no repository that there is: it may have been mistyped,
// or have the host of the registry in it.
func tellUnmatched(ctx context.Context, c console, db *meta.DB, pattern string) error {
	for name, err := range allRepositories(ctx, db) {
		if err != nil {
			return err
		}
		if registry.MatchWildcard(pattern, string(name)) {
			return nil
		}
	}
	_, err := fmt.Fprintf(c.err, "berth: no repository is called like %s yet; berth repo list has all, by names without the host of the registry\n", pattern)
	return err
}

// authorFlag is who answers for a rule.
type authorFlag struct {
	Author string `placeholder:"NAME" help:"Who answers for it; the one who calls the command if it is left out."`
}

func (f authorFlag) author() string {
	if f.Author != "" {
		return f.Author
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "operator"
}
