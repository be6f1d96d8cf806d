package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"berth/registry"
	"berth/scan"
	"berth/scan/scantest"
	"berth/storage/meta"
)

// scriptFound is a scanner that finds one vulnerability with a fix in a package called openssl.
func scriptFound(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: found REPOSITORY SEED ID SEVERITY")
	}
	_, image := scriptImage(ts, args[:2])
	ctx := context.Background()
	db, err := meta.Open(ctx, "sqlite:"+filepath.Join(ts.MkAbs(ts.Getenv("BERTH_DATA")), "berth.db"), meta.Options{})
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	ts.Check(scantest.Find(ctx, db, registry.Name(args[0]), image.Digest, scan.Finding{
		ID: args[2], Severity: scan.Severity(args[3]), Package: scan.Package{Name: "openssl"}, Installed: "3.0.1", Fixed: "3.0.2", FirstFoundAt: time.Now(),
	}))
}

func TestDeadline(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-12-31":           time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), // the day is over
		"2026-12-31T15:04:05Z": time.Date(2026, 12, 31, 15, 4, 5, 0, time.UTC),
	} {
		var d deadline
		if err := d.UnmarshalText([]byte(text)); err != nil || !time.Time(d).Equal(want) {
			t.Errorf("%s is %v, %v; want %v", text, time.Time(d), err, want)
		}
	}
	var d deadline
	if err := d.UnmarshalText([]byte("30d")); err != nil || time.Until(time.Time(d)).Round(time.Hour) != 30*24*time.Hour {
		t.Errorf("30d is %v, %v", time.Time(d), err)
	}
	if err := d.UnmarshalText([]byte("soon")); err == nil {
		t.Errorf("soon is %v", time.Time(d))
	}
}
