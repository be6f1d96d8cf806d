package meta

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"berth/scan"
	"berth/storage/checkup"
)

// vulnerabilityDatabases looks whether the databases that scanners go by are there, and how
// old they are. exists counts the last of the tables that are about them.
func vulnerabilityDatabases(ctx context.Context, db *sql.DB, exists string, maxAge time.Duration) checkup.Finding {
	unreadable := func(err error) checkup.Finding {
		return checkup.Bad(err.Error(), "let the user of berth read the tables of berth")
	}
	var tables int
	if err := db.QueryRowContext(ctx, exists).Scan(&tables); err != nil {
		return unreadable(err)
	}
	if tables == 0 {
		return checkup.Fine("there is none yet, and nothing is scanned")
	}
	var scans bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM scans)").Scan(&scans); err != nil {
		return unreadable(err)
	}
	rows, err := db.QueryContext(ctx, "SELECT kind, updated_at, next_update FROM vulnerability_databases ORDER BY kind DESC")
	if err != nil {
		return unreadable(err)
	}
	defer rows.Close()
	var told []string
	found, old := false, false
	for rows.Next() {
		var d scan.Database
		var updated, next int64
		if err := rows.Scan(&d.Kind, &updated, &next); err != nil {
			return unreadable(err)
		}
		d.UpdatedAt, d.NextUpdate = fromMicros(updated), fromMicros(next)
		found = found || d.Kind == scan.Vulnerabilities
		old = old || d.Old(maxAge, time.Now())
		told = append(told, fmt.Sprintf("that of %s was made at %s, %s ago",
			d.Kind, d.UpdatedAt.Format(time.RFC3339), time.Since(d.UpdatedAt).Round(time.Hour)))
	}
	if err := rows.Err(); err != nil {
		return unreadable(err)
	}
	const advice = "see berth scan db status for why no newer one comes; where there is no way to the internet, bring one in with berth scan db import"
	seen := strings.Join(told, ", ")
	switch {
	case !found && scans:
		return checkup.Warn("images are to be scanned, and there is none", advice)
	case old:
		return checkup.Warn(seen, advice)
	case !found:
		return checkup.Fine("there is none, and nothing is scanned")
	}
	return checkup.Fine("%s", seen)
}
