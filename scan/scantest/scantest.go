// Package scantest gives images findings without a scanner, for tests of what depends on
// findings.
package scantest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
)

// Find does a scan of an image of a repository, the first or another one, whose result is these
// findings. No other scan may be due.
func Find(ctx context.Context, s scan.Store, repo registry.Name, d digest.Digest, findings ...scan.Finding) error {
	err := s.RequestScans(ctx, repo, []scan.Request{{Digest: d, Kind: scan.ImageManifest, Cause: scan.ByHand, Again: true}})
	if err != nil {
		return err
	}
	j, err := s.LeaseJob(ctx, []string{scan.ScanJob}, time.Minute)
	if err != nil {
		return err
	}
	before, err := s.ScanSummary(ctx, d)
	if err != nil {
		return err
	}
	kept, err := Keep(findings)
	if err != nil {
		return err
	}
	return s.EndScan(ctx, j, before.MatchedAt, scan.Outcome{
		Status: scan.Complete, Scanner: "scantest", Findings: kept, Counts: scan.Count(findings), Blocking: scan.SumUp(findings),
		Database: digest.FromString("database"),
	})
}

// Keep packs findings as a [scan.Store] keeps them.
func Keep(findings []scan.Finding) ([]byte, error) {
	text, err := json.Marshal(findings)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}
