package main

import (
	"context"
	"fmt"
	"strings"

	"berth/storage/blob/s3"
	"berth/storage/checkup"
	"berth/storage/meta"
)

// doctorCommand checks what an operator gets wrong, before users find out. It has the
// flags of serve, so that a service's command line or configuration can be tried as
// it is. It changes nothing that is there, and may run beside the server.
type doctorCommand struct {
	serveFlags `embed:""`
	outputFlag `embed:""`

	User      string `placeholder:"NAME" help:"Account that may push, to try pushes through --public-url."`
	Password  string `placeholder:"PASSWORD" help:"Its password, better given as BERTH_PASSWORD." secret:""`
	Online    bool   `help:"Also ask registries elsewhere that vulnerability databases are fetched from."`
	ProbeSize int64  `default:"104857600" help:"Bytes that are pushed through --public-url to see whether a proxy in front limits them; they are not kept."`
}

// diagnosis is what the doctor says.
type diagnosis struct {
	Findings []checkup.Finding `json:"findings"`
	Problems int               `json:"problems"`
	Warnings int               `json:"warnings"`
}

// Run makes all checks and ends with errTrouble if there is a problem.
func (cmd doctorCommand) Run(ctx context.Context, c console) error {
	checks := &checkup.Checks{}
	if cmd.Output == "table" {
		checks.Found = func(f checkup.Finding) { fmt.Fprintln(c.out, line(f)) }
	}
	cmd.checkMachine(ctx, checks)
	checks.Do(ctx, "access keys", func(context.Context) checkup.Finding { return cmd.secretFlags.check(cmd.dataFlags) })
	cmd.checkDatabase(ctx, checks)
	cmd.checkStorage(ctx, checks)
	cmd.checkPublic(ctx, checks)
	cmd.checkDatabaseSources(ctx, checks)
	if err := ctx.Err(); err != nil {
		return err
	}
	d := diagnosis{Findings: checks.All()}
	for _, f := range d.Findings {
		switch f.Severity {
		case checkup.Problem:
			d.Problems++
		case checkup.Warning:
			d.Warnings++
		}
	}
	if cmd.Output == "json" {
		if err := printJSON(c, d); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.out, "%d checks, problems: %d, warnings: %d\n", len(d.Findings), d.Problems, d.Warnings)
	}
	if d.Problems > 0 {
		return errTrouble
	}
	return nil
}

// line is a finding for people.
func line(f checkup.Finding) string {
	s := fmt.Sprintf("%-8s %-22s %s", f.Severity, f.Name, f.Seen)
	if f.Advice != "" {
		s += " → " + f.Advice
	}
	return strings.ReplaceAll(s, "\n", " ")
}

func (cmd doctorCommand) checkDatabase(ctx context.Context, checks *checkup.Checks) {
	if path, found := strings.CutPrefix(cmd.database(), "sqlite:"); found && path != "" {
		folder{name: "database", path: parent(path)}.check(ctx, checks)
	}
	meta.Diagnose(ctx, cmd.database(), cmd.DatabaseConnections, cmd.ScanDBMaxAge, checks)
}

func (cmd doctorCommand) checkStorage(ctx context.Context, checks *checkup.Checks) {
	scheme, path, _ := strings.Cut(cmd.storage(), ":")
	if scheme == "fs" && path != "" {
		folder{name: "disk", path: path, reserve: cmd.DiskReserve, blobs: true}.check(ctx, checks)
		return
	}
	var opts s3.Options
	ok := checks.Do(ctx, "storage", func(context.Context) checkup.Finding {
		var err error
		if scheme != "s3" {
			return checkup.Bad(fmt.Sprintf("%q is no storage that berth knows", redact(cmd.storage())), "set --storage to fs:DIR or s3://BUCKET/PREFIX")
		}
		if opts, err = s3.ParseURL(cmd.storage()); err != nil {
			return checkup.Bad(err.Error(), "correct --storage, which looks like s3://BUCKET/PREFIX?endpoint=URL&region=REGION")
		}
		return checkup.Fine("the bucket %s", opts.Bucket)
	})
	if !ok {
		return
	}
	networks, _ := cmd.redirect() // an error is told of with the flags
	d := s3.Diagnosis{UploadExpiry: cmd.UploadExpiry, Redirect: len(networks) > 0}
	if err := s3.Diagnose(ctx, opts, d, checks); err != nil {
		checks.Do(ctx, "s3 options", func(context.Context) checkup.Finding { return checkup.Bad(err.Error(), "correct --storage") })
	}
}
