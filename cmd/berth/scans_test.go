package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"berth/scan"
	"berth/storage/meta"
)

// scriptScanner does the next job of the registry in $BERTH_DATA as a scanner would that comes to the
// result in a file, or fails as that says. There is a vulnerability database from then on.
func scriptScanner(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: scanner FILE")
	}
	var outcome struct {
		scan.Result
		Failure string `json:"failure"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &outcome))
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	db, err := meta.Open(ctx, "sqlite:"+filepath.Join(ts.MkAbs(ts.Getenv("BERTH_DATA")), "berth.db"), meta.Options{})
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	database := scan.Database{
		Kind: scan.Vulnerabilities, Repository: "berth/trivy-db", Digest: digest.FromString("database"), Layer: digest.FromString("layer"),
		UpdatedAt: time.Now().Add(-time.Hour), ImportedAt: time.Now(), Source: "a test", Version: 2,
	}
	ts.Check(db.Update(ctx, func(tx *meta.Tx) error { return tx.PutVulnerabilityDatabase(ctx, database) }))
	scans := newScans(db)
	j, err := scans.Lease(ctx, scan.LeaseRequest{
		Worker: "script", Scanner: "trivy 0.72.0", Wait: 10 * time.Second, Databases: map[scan.DatabaseKind]digest.Digest{scan.Vulnerabilities: database.Digest},
	})
	ts.Check(err)
	if outcome.Failure != "" {
		ts.Check(scans.Fail(ctx, j.ID, j.Lease, scan.Failure{Reason: outcome.Failure, Permanent: true}))
		return
	}
	r := outcome.Result
	r.Digest, r.Database = j.Digest, database.Digest
	ts.Check(scans.Finish(ctx, j.ID, j.Lease, r))
}

// TestPrintable: nothing that a terminal acts on comes through, in a table or in JSON.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"libc6 2.36-9+deb12u1":    "libc6 2.36-9+deb12u1",
		`a\b "c" 'd' <e>`:         `a\b "c" 'd' <e>`,
		"größe → 大":               "größe → 大",
		"\x1b[2J\x1b]0;title\x07": `\x1b[2J\x1b]0;title\a`,
		"one\r\ntwo\tthree":       `one\r\ntwo\tthree`,
		"\u009b31m":               `\u009b31m`,
		"\u202egpj.exe\u2066":     `\u202egpj.exe\u2066`,
		"zero\u200bwidth":         `zero\u200bwidth`,
		"bad \xff utf8":           "bad \ufffd utf8",
		"\U000e0041 tag":          `\U000e0041 tag`,
		"delete\x7f":              `delete\x7f`,
		"it's one quote ' by":     "it's one quote ' by",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
		var out bytes.Buffer
		if err := printJSON(console{out: &out}, in); err != nil {
			t.Fatal(err)
		}
		if text := strings.TrimSuffix(out.String(), "\n"); printable(text) != text {
			t.Errorf("%q is JSON with characters that terminals act on: %q", in, text)
		}
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != strings.ToValidUTF8(in, "\ufffd") {
			t.Errorf("%q comes back as %q (%v)", in, back, err)
		}
	}
}

func TestJudge(t *testing.T) {
	found := func(counts scan.Counts, severities ...scan.Severity) (r scan.Report) {
		r.Status, r.Counts = scan.Complete, counts
		for _, s := range severities {
			r.Findings = append(r.Findings, scan.Finding{Severity: s})
		}
		return r
	}
	for _, test := range []struct {
		name   string
		report scan.Report
		failOn scan.Severity
		want   string
	}{
		{"nothing is known", found(nil), scan.Low, "not known"},
		{"nothing was found", found(scan.Counts{}), scan.Undefined, ""},
		{"less bad", found(scan.Counts{scan.Medium: 1}, scan.Medium), scan.High, ""},
		{"as bad", found(scan.Counts{scan.High: 1}, scan.High), scan.High, errTrouble.Error()},
		{"worse", found(scan.Counts{scan.Critical: 1, scan.Low: 1}, scan.Low, scan.Critical), scan.High, errTrouble.Error()},
		{"worse is not shown", found(scan.Counts{scan.Critical: 1}), scan.High, ""},
	} {
		err := judge("team/app:v1", test.report, test.failOn)
		if got := err != nil; got != (test.want != "") || got && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestShow: what was taken out is told by its number, or with the reason; an index with its images.
func TestShow(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	finding := scan.Finding{ID: "CVE-1", Severity: scan.Low, Package: scan.Package{Name: "libc6"}, Installed: "1"}
	accepted := finding
	accepted.ID = "CVE-2"
	r := scan.Report{
		Scan: scan.Scan{
			Digest: digest.FromString("index"), Status: scan.Complete, CompletedAt: at, Counts: scan.Counts{scan.Low: 1},
			Platforms: []scan.PlatformScan{
				{Platform: "linux/amd64", Scan: scan.Scan{Digest: digest.FromString("amd64"), Status: scan.Complete, Counts: scan.Counts{scan.Low: 1}}},
				{Platform: "linux/\x1barm64", Scan: scan.Scan{Digest: digest.FromString("arm64"), Status: scan.Unsupported, Reason: "there is nothing \x1b in it"}},
			},
		},
		Scanner: "trivy 0.72.0", Findings: []scan.Finding{finding},
		Excepted: []scan.Excepted{{Finding: accepted, Reason: "nobody \x1b calls it", By: "exception 12", Author: "ada", Until: at}},
	}
	for _, all := range []bool{false, true} {
		var out bytes.Buffer
		cmd := scanShow{All: all, outputFlag: outputFlag{"table"}}
		if err := cmd.tell(console{out: &out}, "team/app:v1", r); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		for _, want := range []string{
			"CVE-1", "vulnerabilities: 1 LOW; 0 can be fixed; 1 taken out" + map[bool]string{false: ", which --all shows"}[all] + "\n",
			"\nlinux/amd64 (" + digest.FromString("amd64").String() + ") COMPLETE: 1 LOW\n",
			"\nlinux/\\x1barm64 (" + digest.FromString("arm64").String() + ") UNSUPPORTED_IMAGE: there is nothing \\x1b in it\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("with --all=%t there is no %q in\n%s", all, want, text)
			}
		}
		if shown := strings.Contains(text, "nobody \\x1b calls it") && strings.Contains(text, "exception 12") && strings.Contains(text, "2026-03-01T12:00:00Z\n"); shown != all {
			t.Errorf("with --all=%t what was taken out is shown: %t\n%s", all, shown, text)
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("it has escape sequences: %q", text)
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Now()
	for ago, want := range map[time.Duration]string{
		1499 * time.Millisecond: "1s", 90 * time.Minute: "1h30m", 47 * time.Hour: "47h00m", 49 * time.Hour: "2d", 2 * time.Minute: "0h02m",
	} {
		if got := age(now, now.Add(-ago)); got != want {
			t.Errorf("%s ago is %q, want %q", ago, got, want)
		}
	}
	if got := age(now, time.Time{}); got != "" {
		t.Errorf("an unknown time is %q ago", got)
	}
}
