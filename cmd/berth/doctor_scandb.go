package main

import (
	"context"
	"fmt"

	"berth/scan"
	"berth/scan/database"
	"berth/storage/checkup"
)

// checkDatabaseSources asks where newer vulnerability databases are fetched from, which is
// outside of this site as a rule, whether it can be reached.
func (cmd doctorCommand) checkDatabaseSources(ctx context.Context, checks *checkup.Checks) {
	const name = "vulnerability source"
	references, err := cmd.references()
	switch {
	case err != nil: // told of with the flags
		return
	case len(references) == 0:
		checks.Skip(name, "--scan-db and --scan-java-db are off")
		return
	case !cmd.Online:
		checks.Skip(name, "--online asks --scan-db and --scan-java-db whether they can be reached")
		return
	}
	for _, kind := range []scan.DatabaseKind{scan.Vulnerabilities, scan.Java} {
		reference := references[kind]
		if reference == "" {
			continue
		}
		checks.Do(ctx, fmt.Sprintf("%s (%s)", name, kind), func(ctx context.Context) checkup.Finding {
			upstream, err := database.ParseReference(reference, userAgent())
			if err == nil {
				_, err = upstream.Digest(ctx)
			}
			if err != nil {
				return checkup.Warn(err.Error(), "let this machine reach it, or set --scan-db and --scan-java-db to a mirror; or set them to off, and bring databases in with berth scan db import")
			}
			return checkup.Fine("%s is reached", reference)
		})
	}
}
