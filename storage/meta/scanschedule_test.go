package meta_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/storage/meta"
	"berth/storage/queue"
)

// TestForgetScansMeetsRequests forgets reports while others come to need them: whoever asks
// for a scan finds a job or a report.
func TestForgetScansMeetsRequests(t *testing.T) {
	onBothScanSites(t, func(s *scanSite) {
		var all []digest.Digest
		for seed := range uint64(8) {
			all = append(all, s.image("a", seed))
		}
		for range 20 {
			var work sync.WaitGroup
			for half := range 2 {
				work.Go(func() {
					for i, d := range all {
						if i%2 == half {
							if err := s.db.RequestScans(s.ctx, "a", []scan.Request{{Digest: d, Kind: scan.ImageManifest, Cause: scan.ByPush}}); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			work.Go(func() {
				for range 3 {
					if _, _, err := s.db.ForgetScans(s.ctx, "", 100); err != nil {
						t.Error(err)
					}
				}
			})
			work.Wait()
			for _, d := range all {
				if _, err := s.db.ScanSummary(s.ctx, d); err != nil {
					t.Fatalf("of %s that was asked for is kept: %v", d, err)
				}
			}
			s.must(s.db.Update(s.ctx, func(tx *meta.Tx) error {
				r, err := tx.LockRepository(s.ctx, "a")
				for _, d := range all {
					if err == nil {
						err = tx.DropScan(s.ctx, r, d)
					}
				}
				return err
			}))
		}
	})
}

// TestScanPositions walks through many images a few at a time.
func TestScanPositions(t *testing.T) {
	onBothScanSites(t, func(s *scanSite) {
		const n = 25
		for seed := range uint64(n) {
			s.request("a", s.image("a", seed, registry.Tag(fmt.Sprintf("v%d", seed))))
		}
		for {
			j, err := s.db.LeaseJob(s.ctx, []string{scan.ScanJob}, time.Minute)
			if errors.Is(err, queue.ErrNothingDue) {
				break
			}
			s.must(err)
			if j.ID%5 == 0 {
				s.must(s.db.FinishJob(s.ctx, j)) // as if it had been lost
				continue
			}
			o := scan.Outcome{Status: scan.Complete, Inventory: []byte{1}, Findings: []byte{2}, Counts: scan.Counts{}, Database: digest.FromString(fmt.Sprint("db", j.ID%3))}
			if j.ID%7 == 0 {
				o = scan.Outcome{Status: scan.Failed, Inventory: []byte{1}}
			}
			s.must(s.db.EndScan(s.ctx, j, time.Time{}, o))
		}
		present := scan.Database{Kind: scan.Vulnerabilities, Digest: digest.FromString("db0")}
		walk := func(step func(scan.Position) (int, scan.Position, error)) (added int) {
			t.Helper()
			for at, steps := (scan.Position{}), 0; ; steps++ {
				n, last, err := step(at)
				s.must(err)
				added += n
				if at = last; at == (scan.Position{}) {
					return added
				}
				if steps > n+30 {
					t.Fatal("the walk has no end")
				}
			}
		}
		pending := func(at scan.Position) (int, scan.Position, error) { return s.db.SchedulePending(s.ctx, at, 2) }
		matches := func(at scan.Position) (int, scan.Position, error) {
			return s.db.ScheduleMatches(s.ctx, present, time.Now().Add(time.Hour), at, 2)
		}
		totals, err := s.db.CountScans(s.ctx, present.Digest)
		s.must(err)
		if got := walk(pending); got != totals.Statuses[scan.Pending] || got == 0 {
			t.Errorf("%d have got a job that they lacked, want %d", got, totals.Statuses[scan.Pending])
		}
		want := totals.Outdated + totals.Statuses[scan.Failed]
		if got := walk(matches); got != want || totals.Outdated == 0 || totals.Statuses[scan.Failed] == 0 {
			t.Errorf("%d are matched, want %d of %+v", got, want, totals)
		}
		if got := walk(pending) + walk(matches); got != 0 {
			t.Errorf("%d have got another job", got)
		}
	})
}
