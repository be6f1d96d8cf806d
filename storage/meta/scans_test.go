package meta_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/queue"
)

// scanEverything asks all that a [scan.Store] can be asked.
func scanEverything(t *testing.T, db *meta.DB, e *engine.Engine, do func(string, error)) {
	t.Helper()
	ctx := t.Context()
	_, err := e.SetSetting(ctx, registry.ScanningSetting,
		[]byte(`{"scanType":"BASIC","rules":[{"scanFrequency":"SCAN_ON_PUSH","repositoryFilters":[{"filter":"scanned","filterType":"WILDCARD"}]}]}`))
	do("SetSetting", err)
	image := registrytest.Recipe{Seed: 21}.Image()
	index := registrytest.Recipe{Seed: 22}.Index(image)
	for range 2 { // pushed again, and listed by what was pushed
		for _, i := range []registrytest.Image{image, index} {
			for _, b := range i.Blobs {
				_, err := e.PutBlob(ctx, "scanned", b.Chunk(), b.Digest)
				do("PutBlob", err)
			}
			_, err := e.PutManifest(ctx, "scanned", i.Manifest, []registry.Tag{"v1"})
			do("PutManifest", err)
		}
	}
	d := image.Digest
	present := scan.Database{Kind: scan.Vulnerabilities, Repository: "db", Digest: digest.FromString("1"), Layer: d, UpdatedAt: time.Now()}
	database := func() {
		do("PutVulnerabilityDatabase", db.Update(ctx, func(tx *meta.Tx) error { return tx.PutVulnerabilityDatabase(ctx, present) }))
	}
	database()
	for range 2 {
		do("RequestScans", db.RequestScans(ctx, "scanned", []scan.Request{{Digest: d, Kind: scan.ImageManifest, Cause: scan.ByHand, Again: true}}))
	}
	_, _, err = db.SchedulePending(ctx, scan.Position{}, 10)
	do("SchedulePending", err)
	_, err = db.ScanStates(ctx, "scanned", []digest.Digest{d, index.Digest})
	do("ScanStates", err)
	_, err = db.ScanManifests(ctx, "scanned", []digest.Digest{d, index.Digest})
	do("ScanManifests", err)
	_, err = db.ScanRepository(ctx, d)
	do("ScanRepository", err)
	j, err := db.LeaseJob(ctx, []string{scan.ScanJob}, time.Minute)
	do("LeaseJob", err)
	_, err = db.LeasedScan(ctx, j.ID, j.Lease)
	do("LeasedScan", err)
	do("EndScan", db.EndScan(ctx, j, time.Time{}, scan.Outcome{
		Status: scan.Complete, Inventory: []byte{1}, Findings: []byte{2}, Counts: scan.Counts{}, Database: present.Digest,
	}))
	_, err = db.ScanSummary(ctx, d)
	do("ScanSummary", err)
	_, err = db.ScanInventory(ctx, d)
	do("ScanInventory", err)
	_, err = db.ScanFindings(ctx, d)
	do("ScanFindings", err)
	present.Digest = digest.FromString("2")
	database()
	_, _, err = db.ScheduleMatches(ctx, present, time.Now(), scan.Position{}, 10)
	do("ScheduleMatches", err)
	_, err = db.CountWaitingJobs(ctx, scan.MatchJob, 10)
	do("CountWaitingJobs", err)
	_, err = db.CountScans(ctx, present.Digest)
	do("CountScans", err)
	do("NoteWorker", db.NoteWorker(ctx, scan.Worker{Name: "w"}))
	_, err = db.Workers(ctx, time.Hour)
	do("Workers", err)
	do("PutLayer", db.PutLayer(ctx, "k", []byte{1}))
	_, err = db.MissingLayers(ctx, []string{"k", "l"})
	do("MissingLayers", err)
	_, err = db.Layer(ctx, "k")
	do("Layer", err)
	_, err = db.ForgetLayers(ctx, -time.Hour, 0, 10)
	do("ForgetLayers", err)
	do("DeleteRepository", e.DeleteRepository(ctx, "scanned", true))
	_, _, err = db.ForgetScans(ctx, "", 10)
	do("ForgetScans", err)
}

// scanSite is a database with some images.
type scanSite struct {
	*testing.T
	ctx    context.Context
	db     *meta.DB
	engine *engine.Engine
}

func onBothScanSites(t *testing.T, run func(s *scanSite)) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db := open(t)
		run(&scanSite{t, t.Context(), db, engine.New(db, mem.New(), engine.Options{CreateOnPush: true})})
	})
}

func (s *scanSite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scanSite) image(repo registry.Name, seed uint64, tags ...registry.Tag) digest.Digest {
	s.Helper()
	image := registrytest.Recipe{Seed: seed}.Image()
	for _, b := range image.Blobs {
		_, err := s.engine.PutBlob(s.ctx, repo, b.Chunk(), b.Digest)
		s.must(err)
	}
	_, err := s.engine.PutManifest(s.ctx, repo, image.Manifest, tags)
	s.must(err)
	return image.Digest
}

func (s *scanSite) request(repo registry.Name, d digest.Digest) {
	s.Helper()
	s.must(s.db.RequestScans(s.ctx, repo, []scan.Request{{Digest: d, Kind: scan.ImageManifest, Cause: scan.ByPush}}))
}

func (s *scanSite) lease() queue.Job {
	s.Helper()
	j, err := s.db.LeaseJob(s.ctx, []string{scan.ScanJob}, time.Minute)
	s.must(err)
	return j
}

// TestEndScan: an outcome and the end of its job are one.
func TestEndScan(t *testing.T) {
	onBothScanSites(t, func(s *scanSite) {
		d := s.image("a", 1)
		s.request("a", d)
		j := s.lease()
		other := j
		other.Lease++
		complete := scan.Outcome{
			Status: scan.Complete, Scanner: "s", Inventory: []byte("i"), OS: "o", Packages: 2, Findings: []byte("f"),
			Counts: scan.Counts{scan.High: 1}, Blocking: scan.SumUp([]scan.Finding{{Severity: scan.High}}), Database: "sha256:x",
		}
		if err := s.db.EndScan(s.ctx, other, time.Time{}, complete); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("under another lease: %v", err)
		}
		if err := s.db.EndScan(s.ctx, j, time.Now(), complete); !errors.Is(err, scan.ErrChanged) {
			t.Errorf("after other findings: %v", err)
		}
		if found, err := s.db.ScanFindings(s.ctx, d); err != nil || found != nil {
			t.Errorf("there is %q: %v", found, err)
		}
		if _, err := s.db.LeasedScan(s.ctx, j.ID, j.Lease); err != nil {
			t.Errorf("the job has gone although nothing was kept: %v", err)
		}
		s.must(s.db.EndScan(s.ctx, j, time.Time{}, complete))
		if _, err := s.db.LeasedScan(s.ctx, j.ID, j.Lease); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("the job is still there: %v", err)
		}
		got, err := s.db.ScanSummary(s.ctx, d)
		s.must(err)
		if got.MatchedAt.IsZero() || got.InventoryAt.IsZero() {
			t.Errorf("no times: %+v", got)
		}
		want := scan.Summary{
			Digest: d, Status: scan.Complete, Scanner: "s", OS: "o", Packages: 2, InventoryAt: got.InventoryAt,
			Counts: complete.Counts, Blocking: complete.Blocking, Database: "sha256:x", MatchedAt: got.MatchedAt,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the summary (-want +got):\n%s", diff)
		}

		// What ends without findings leaves those that there are.
		s.must(s.db.RequestScans(s.ctx, "a", []scan.Request{{Digest: d, Kind: scan.ImageManifest, Cause: scan.ByHand, Again: true}}))
		j = s.lease()
		s.must(s.db.EndScan(s.ctx, j, got.MatchedAt, scan.Outcome{Status: scan.Failed, Reason: "r", Scanner: "s"}))
		want.Status, want.Reason = scan.Failed, "r"
		if got, err = s.db.ScanSummary(s.ctx, d); err != nil || !cmp.Equal(want, got) {
			t.Errorf("after a failure: %+v, %v", got, err)
		}
		if found, err := s.db.ScanFindings(s.ctx, d); err != nil || string(found) != "f" {
			t.Errorf("there is %q: %v", found, err)
		}
	})
}

// TestScanStatesInPortions asks for more images than one statement is asked for.
func TestScanStatesInPortions(t *testing.T) {
	onBothScanSites(t, func(s *scanSite) {
		there := []digest.Digest{s.image("a", 1), s.image("a", 2)}
		s.request("a", there[1])
		asked := slices.Clone(there[:1])
		for i := range 300 {
			asked = append(asked, digest.FromString(fmt.Sprint(i)))
		}
		states, err := s.db.ScanStates(s.ctx, "a", append(asked, there[1]))
		s.must(err)
		if len(states) != 2 || states[0].Digest != there[0] || !states[0].RequestedAt.IsZero() || states[1].Cause != scan.ByPush || states[1].RequestedAt.IsZero() {
			t.Errorf("the states are %+v", states)
		}
		if _, err := s.db.ScanStates(s.ctx, "none", there); !errors.Is(err, registry.ErrNameUnknown) {
			t.Errorf("of no repository: %v", err)
		}
		if states, err := s.db.ScanStates(s.ctx, "a", nil); err != nil || len(states) != 0 {
			t.Errorf("of nothing: %+v, %v", states, err)
		}
	})
}
