package scan_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/scan"
)

// TestRematch brings a new database.
func TestRematch(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		tagged, untagged, listed := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image(), registrytest.Recipe{Seed: 3}.Image()
		w.push("app", tagged, "v1")
		w.push("app", untagged)
		w.push("app", registrytest.Recipe{Seed: 4}.Index(listed), "all")
		k := worker{w, "k", w.database("first")}
		for range 3 {
			k.scanned("CVE-1", "CVE-2")
		}
		w.must(w.service.Schedule(w.ctx))
		w.wantJobs(0)
		firstTime := w.state("app", tagged.Digest).CompletedAt

		w.passed += 100 * 24 * time.Hour
		second := w.database("second")
		w.must(w.service.Schedule(w.ctx))
		w.wantJobs(2) // of what is tagged
		p, err := w.service.Progress(w.ctx)
		w.must(err)
		if p.Outdated != 3 || p.Current != 0 || p.Waiting != 2 || p.Statuses[scan.Complete] != 3 || len(p.Databases) != 1 {
			t.Errorf("progress: %+v", p)
		}
		w.wantStatus("app", tagged.Digest, scan.Complete, "") // meanwhile
		k.wantNone()                                          // for who still has the first
		k.database = second
		for range 2 {
			if j := k.scanned("CVE-2", "CVE-3/CRITICAL"); !j.HasInventory || !j.Match {
				t.Errorf("the job is %+v", j)
			}
		}
		report, err := w.service.Report(w.ctx, "app", tagged.Digest)
		w.must(err)
		if ids := w.found("app", tagged.Digest); !slices.Equal(ids, []string{"CVE-3/CRITICAL", "CVE-2"}) {
			t.Fatalf("found %v", ids)
		}
		if old, fresh := report.Findings[1].FirstFoundAt, report.Findings[0].FirstFoundAt; fresh.Sub(old) < 99*24*time.Hour || old.Sub(firstTime).Abs() > time.Minute {
			t.Errorf("the old one was first found at %s, the new one at %s", old, fresh)
		}
		if ids := w.found("app", untagged.Digest); !slices.Equal(ids, []string{"CVE-1", "CVE-2"}) {
			t.Errorf("of the untagged image is found %v", ids)
		}
		w.push("app", untagged) // a push has it matched at once
		k.scanned("CVE-1")

		w.passed += time.Hour
		third := w.database("third")
		k.database = third
		w.must(w.service.Schedule(w.ctx))
		w.wantJobs(3) // the untagged one was pushed just now
		for range 2 {
			k.scanned("CVE-1")
		}
		// What vanished and has come back is found anew; a failure leaves what was found.
		report, err = w.service.Report(w.ctx, "app", listed.Digest)
		w.must(err)
		if at := report.Findings[0].FirstFoundAt; w.now().Sub(at) > time.Minute {
			t.Logf("the order of jobs decides which image that is: %s", at)
		}
		j := k.take()
		k.fail(j, scan.Failure{Reason: "it is damaged", Permanent: true}, http.StatusNoContent)
		w.wantStatus("app", j.Digest, scan.Complete, "it could not be matched with a newer database: it is damaged")
		if len(w.found("app", j.Digest)) == 0 {
			t.Error("nothing is found any more")
		}
		w.must(w.service.Schedule(w.ctx))
		w.wantJobs(0) // that was tried with this database
	})
}

// TestSchedulesFew keeps the queue short however many images wait for a new database.
func TestSchedulesFew(t *testing.T) {
	if testing.Short() {
		t.Skip("pushes hundreds of images")
	}
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "berth.db"), scan.Options{Lease: lease})
	w.scanAll()
	k := worker{w, "k", w.database("first")}
	const n = 320
	for i := range n {
		w.push("app", registrytest.Recipe{Seed: uint64(i)}.Image(), registry.Tag("v"+string(rune('a'+i%26))+string(rune('a'+i/26))))
		k.scanned()
	}
	w.passed += time.Hour
	k.database = w.database("second")
	w.must(w.service.Schedule(w.ctx))
	w.wantJobs(300)
	for range n - 20 {
		k.scanned("CVE-1")
	}
	w.must(w.service.Schedule(w.ctx))
	w.wantJobs(20)
	for range 20 {
		k.scanned("CVE-1")
	}
	if p, err := w.service.Progress(w.ctx); err != nil || p.Current != n || p.Outdated != 0 {
		t.Errorf("progress: %+v, %v", p, err)
	}
}

// TestDatabaseMeanwhile has another database come while images are looked at: when all that
// waited for it have got their jobs, those get theirs with their results.
func TestDatabaseMeanwhile(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image, "v1")
		k := worker{world: w, name: "k"}
		j := k.take()
		k.database = w.database("first")
		w.must(w.service.Schedule(w.ctx))
		k.end(j, k.result(j), http.StatusNoContent)
		if j = k.take(); !j.HasInventory || !j.Match {
			t.Errorf("the job is %+v", j)
		}
		old := k
		w.passed += time.Hour
		k.database = w.database("second")
		w.must(w.service.Schedule(w.ctx))
		old.end(j, old.result(j, "CVE-1"), http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Complete, "")
		old.wantNone()
		j = k.take()
		w.passed += time.Hour
		fresh := k
		fresh.database = w.database("third")
		w.must(w.service.Schedule(w.ctx))
		k.end(j, k.result(j, "CVE-2"), http.StatusNoContent) // of a match
		fresh.scanned("CVE-3")
		w.wantJobs(0)
		if got := w.found("app", image.Digest); !slices.Equal(got, []string{"CVE-3"}) {
			t.Errorf("found %v", got)
		}
	})
}
