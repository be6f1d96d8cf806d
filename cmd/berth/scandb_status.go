package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"berth/registry"
	"berth/scan"
	"berth/scan/database"
	"berth/storage/meta"
)

type scanDBStatus struct {
	dataFlags   `embed:""`
	databaseAge `embed:""`
	outputFlag  `embed:""`
}

// databaseStatus is how it stands with the databases of a kind.
type databaseStatus struct {
	Kind     scan.DatabaseKind    `json:"kind"`
	Database *scan.Database       `json:"database,omitempty"` // none: there never was one
	Missing  bool                 `json:"missing"`            // there is none, or it is not in its repository any more
	Age      int64                `json:"ageSeconds,omitempty"`
	Old      bool                 `json:"old"`
	Update   *scan.DatabaseUpdate `json:"update,omitempty"` // none: never asked for
}

func (cmd scanDBStatus) Run(ctx context.Context, c console) error {
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	all, err := cmd.statuses(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if cmd.Output == "json" {
		return printJSON(c, all)
	}
	for n, s := range all {
		if n > 0 {
			fmt.Fprintln(c.out)
		}
		for _, row := range s.rows() {
			fmt.Fprintf(c.out, "%-22s %s\n", row[0], row[1])
		}
	}
	return nil
}

func (cmd scanDBStatus) statuses(ctx context.Context, db *meta.DB) ([]databaseStatus, error) {
	all := []databaseStatus{{Kind: scan.Vulnerabilities, Missing: true}, {Kind: scan.Java, Missing: true}}
	databases, err := db.VulnerabilityDatabases(ctx)
	if err != nil {
		return nil, err
	}
	updates, err := db.DatabaseUpdates(ctx)
	if err != nil {
		return nil, err
	}
	for n := range all {
		s := &all[n]
		for _, u := range updates {
			if u.Kind == s.Kind {
				s.Update = &u
			}
		}
		for _, d := range databases {
			if d.Kind != s.Kind {
				continue
			}
			s.Database, s.Old = &d, d.Old(cmd.ScanDBMaxAge, time.Now())
			s.Age = int64(time.Since(d.UpdatedAt).Seconds())
			_, err := db.StatManifest(ctx, d.Repository, registry.Reference{Digest: d.Digest})
			s.Missing = errors.Is(err, registry.ErrNameUnknown) || errors.Is(err, registry.ErrManifestUnknown)
			if err != nil && !s.Missing {
				return nil, err
			}
		}
	}
	return all, nil
}

// rows are for people.
func (s databaseStatus) rows() [][2]string {
	var rows [][2]string
	add := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	switch d := s.Database; {
	case d == nil:
		add(database.Name(s.Kind), "there is none; berth scan db update fetches it, berth scan db import brings one in")
	default:
		add(database.Name(s.Kind), "%s@%s", d.Repository, d.Digest)
		if s.Missing {
			add("", "IT IS NOT THERE ANY MORE, so nothing can be scanned; import it again")
		}
		old := ""
		if s.Old {
			old = ", WHICH IS OLD"
		}
		add("  made", "%s, %s ago%s", formatTime(d.UpdatedAt), roughly(time.Duration(s.Age)*time.Second), old)
		add("  a newer one is due", "%s", formatTime(d.NextUpdate))
		add("  imported", "%s, from %s", formatTime(d.ImportedAt), d.Source)
	}
	if u := s.Update; u == nil {
		add("  asked for", "never")
	} else {
		add("  asked for", "%s, at %s", formatTime(u.AttemptedAt), u.Reference)
		if u.Failures > 0 {
			add("  failed", "%s in a row: %s", count(u.Failures, "time"), u.Error)
			add("  last went well", "%s", formatTime(u.SucceededAt))
		}
	}
	return rows
}
