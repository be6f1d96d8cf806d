package scan_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/remote"
)

// TestPushToFindings follows an image that is pushed before there is a database.
func TestPushToFindings(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image, "v1")
		w.wantStatus("app", image.Digest, scan.Pending, "no vulnerability database yet")
		w.wantStatus("app", image.Digest, scan.Pending, "no scanner has asked")
		_, err := w.service.Inventory(w.ctx, "app", image.Digest)
		w.wantError("Inventory", err, scan.ErrNotScanned)

		k := worker{world: w, name: "one"}
		j := k.take()
		if j.Repository != "app" || j.Digest != image.Digest || j.HasInventory || j.Match || j.Attempt != 1 || j.Expires != lease {
			t.Errorf("the job is %+v", j)
		}
		if want := "[app] " + (lease + 5*time.Minute).String(); j.Token != want {
			t.Errorf("the token is %q, want %q", j.Token, want)
		}
		w.wantStatus("app", image.Digest, scan.InProgress, "")
		k.wantNone()
		k.end(j, k.result(j), http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Pending, "no vulnerability database yet")
		got, err := w.service.Inventory(w.ctx, "app", image.Digest)
		w.must(err)
		if string(got) != string(inventory(image.Digest)) {
			t.Errorf("the inventory is %s", got)
		}
		w.must(w.service.Schedule(w.ctx))
		w.wantJobs(0) // there is nothing to match with

		present := w.database("first")
		w.must(w.service.Schedule(w.ctx))
		w.must(w.service.Schedule(w.ctx)) // adds no second job
		w.wantJobs(1)
		k.wantNone() // for a worker without the database
		w.wantStatus("app", image.Digest, scan.Pending, "no scanner has opened the vulnerability database yet")
		k.database = present
		j = k.take()
		if !j.HasInventory || !j.Match {
			t.Errorf("the job is %+v", j)
		}
		if status, said := w.ask("GET", path(j, "inventory"), j.Lease, nil, nil); status != 200 || said != string(inventory(image.Digest)) {
			t.Errorf("the inventory for the worker: %d %s", status, said)
		}
		k.end(j, k.result(j, "CVE-2/LOW", "CVE-1/CRITICAL", "CVE-3/LOW", "CVE-3/LOW"), http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Complete, "")
		w.wantJobs(0)
		r, err := w.service.Report(w.ctx, "app", image.Digest)
		w.must(err)
		if diff := cmp.Diff([]string{"CVE-1/CRITICAL", "CVE-2/LOW", "CVE-3/LOW"}, w.found("app", image.Digest)); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(scan.Counts{scan.Critical: 1, scan.Low: 2}, r.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if r.OS != "debian 12" || r.Scanner != "fake 1" || r.Database.Digest != present || r.CompletedAt.IsZero() || r.Database.UpdatedAt.IsZero() {
			t.Errorf("the report is %+v", r)
		}
		summary, err := w.db.ScanSummary(w.ctx, image.Digest)
		w.must(err)
		if len(summary.Blocking) != 2 || summary.Blocking[0].Number != 1 || summary.Blocking[1].Number != 2 || summary.Packages != 3 {
			t.Errorf("the summary is %+v", summary)
		}
		w.push("app", image, "v2")
		w.wantJobs(0) // it has findings from the present database
		w.push("other", image, "v1")
		w.wantJobs(0)
		w.wantStatus("other", image.Digest, scan.Complete, "")
	})
}

// TestTwoWorkersOneJob has many ask at once for the only job.
func TestTwoWorkersOneJob(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		w.push("app", registrytest.Recipe{Seed: 1}.Image())
		var got atomic.Int64
		var work sync.WaitGroup
		for range 8 {
			work.Go(func() {
				if _, ok := (worker{world: w, name: "k"}).lease(0); ok {
					got.Add(1)
				}
			})
		}
		work.Wait()
		if got.Load() != 1 {
			t.Errorf("%d have got the job", got.Load())
		}
	})
}

// TestLongPoll has a worker wait for a push.
func TestLongPoll(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		began, answer := time.Now(), make(chan bool)
		go func() {
			_, got := worker{world: w, name: "k"}.lease(20 * time.Second)
			answer <- got
		}()
		time.Sleep(100 * time.Millisecond)
		w.push("app", registrytest.Recipe{Seed: 1}.Image())
		if got := <-answer; !got || time.Since(began) > 10*time.Second {
			t.Errorf("after %s the worker has a job: %t", time.Since(began), got)
		}
		if _, got := (worker{world: w, name: "k"}).lease(50 * time.Millisecond); got {
			t.Error("there is another one")
		}
	})
}

// TestLongPollDatabase has a worker wait while there is another database.
func TestLongPollDatabase(t *testing.T) {
	onBoth(t, func(w *world) {
		before := w.database("1")
		began, answer := time.Now(), make(chan bool)
		go func() {
			_, got := worker{world: w, name: "k", database: before}.lease(30 * time.Second)
			answer <- got
		}()
		for {
			p, err := w.service.Progress(w.ctx)
			w.must(err)
			if len(p.Workers) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second) // it is written down a moment before the wait
		w.database("2")
		if got := <-answer; got || time.Since(began) > 20*time.Second {
			t.Errorf("after %s the worker has a job: %t; it was to look for the database", time.Since(began), got)
		}
	})
}

// TestLostLease has a worker stand still until another one has its job.
func TestLostLease(t *testing.T) {
	onBothWith(t, scan.Options{Lease: shortLease}, func(w *world) {
		w.scanAll()
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		slow, fast := worker{w, "slow", w.database("d")}, worker{w, "fast", w.database("d")}
		first := slow.take()
		if status, said := w.ask("POST", path(first, "extend"), first.Lease, nil, nil); status != 200 {
			t.Fatalf("extend: %d %s", status, said)
		}
		second, got := fast.lease(10 * time.Second)
		if !got || second.Digest != image.Digest || second.Attempt != 2 || second.Lease == first.Lease {
			t.Fatalf("the second job is %+v", second)
		}
		slow.end(first, slow.result(first, "CVE-1"), http.StatusConflict)
		slow.fail(first, scan.Failure{Reason: "x", Permanent: true}, http.StatusConflict)
		for _, what := range []string{"extend", "inventory"} {
			method := map[string]string{"extend": "POST", "inventory": "GET"}[what]
			if status, _ := w.ask(method, path(first, what), first.Lease, nil, nil); status != http.StatusConflict {
				t.Errorf("%s under a lost lease: %d", what, status)
			}
			if status, _ := w.ask(method, path(second, what), "guess", nil, nil); status != http.StatusConflict {
				t.Errorf("%s under a guessed lease: %d", what, status)
			}
		}
		fast.end(second, fast.result(second, "CVE-2"), http.StatusNoContent)
		fast.end(second, fast.result(second, "CVE-2"), http.StatusConflict) // once is enough
		if got := w.found("app", image.Digest); !slices.Equal(got, []string{"CVE-2"}) {
			t.Errorf("found %v", got)
		}
	})
}

// TestLies has a worker say what cannot be.
func TestLies(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		image, other := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		w.push("app", image)
		k := worker{w, "k", w.database("d")}
		j := k.take()
		for want, change := range map[string]func(*scan.Result){
			"is about another image": func(r *scan.Result) { r.Digest = other.Digest },
			"neither an inventory":   func(r *scan.Result) { r.Inventory, r.Findings = nil, nil },
			"no inventory that":      func(r *scan.Result) { r.Inventory = nil },
			"which database":         func(r *scan.Result) { r.Database = "sha256:x" },
			"not a CycloneDX":        func(r *scan.Result) { r.Inventory = []byte(`{"bomFormat":"SPDX"}`) },
			"lacks the name":         func(r *scan.Result) { r.Findings[0].ID = "" },
			"fewer than no packages": func(r *scan.Result) { r.Packages = -1 },
			"more than 200,000":      func(r *scan.Result) { r.Findings = make([]scan.Finding, 200_001) },
		} {
			r := k.result(j, "CVE-1")
			change(&r)
			if said := k.end(j, r, http.StatusUnprocessableEntity); !strings.Contains(said, want) {
				t.Errorf("%q is answered with %s", want, said)
			}
		}
		if status, _ := w.ask("PUT", path(j, "result"), j.Lease, []byte("{"), nil); status != http.StatusUnprocessableEntity {
			t.Errorf("no JSON: %d", status)
		}
		w.wantStatus("app", image.Digest, scan.InProgress, "")
		r := k.result(j, "CVE-1/BAD")
		r.Findings[0].FirstFoundAt = time.Unix(1, 0)
		k.end(j, r, http.StatusNoContent)
		report, err := w.service.Report(w.ctx, "app", image.Digest)
		w.must(err)
		if f := report.Findings[0]; f.Severity != scan.Undefined || f.FirstFoundAt.Before(w.now().Add(-time.Hour)) {
			t.Errorf("the finding is %+v", f)
		}
	})
}

// TestDeadWorkers has workers die of an image.
func TestDeadWorkers(t *testing.T) {
	onBothWith(t, scan.Options{Lease: shortLease}, func(w *world) {
		w.scanAll()
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		k := worker{world: w, name: "k"}
		for attempt := range 3 {
			if j, got := k.lease(10 * time.Second); !got || j.Attempt != attempt+1 {
				t.Fatalf("attempt %d: %+v", attempt, j)
			}
		}
		time.Sleep(2 * shortLease)
		k.wantNone()
		w.wantStatus("app", image.Digest, scan.Failed, "the worker died three times while scanning it")
		w.wantJobs(0)
		w.push("app", image) // has it tried again
		w.wantStatus("app", image.Digest, scan.Pending, "no vulnerability database")
		k.fail(k.take(), scan.Failure{Reason: "the disk is full"}, http.StatusNoContent)
		k.database = w.database("d")
		k.fail(k.take(), scan.Failure{Reason: "the disk is full"}, http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Pending, "it is tried again: the disk is full")
		k.fail(k.take(), scan.Failure{Reason: "the disk\x00 is still full"}, http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Failed, "is still full")
		w.wantJobs(0)
		_, err := w.service.Start(w.ctx, "app", image.Digest, false) // though it was asked for a moment ago
		w.must(err)
		k.fail(k.take(), scan.Failure{Reason: "a bomb", Permanent: true}, http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Failed, "a bomb")
		_, err = w.service.Start(w.ctx, "app", image.Digest, true)
		w.must(err)
		k.fail(k.take(), scan.Failure{Reason: "nothing in it", Unsupported: true}, http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Unsupported, "nothing in it")
	})
}

// TestGone takes images away while they wait to be scanned or are.
func TestGone(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("one", image)
		w.push("two", image)
		k := worker{w, "k", w.database("d")}
		j := k.take()
		if j.Repository != "one" {
			t.Fatalf("the job is %+v", j)
		}
		w.must(w.engine.DeleteManifest(w.ctx, "one", image.Digest))
		var x remote.Extension
		if status, said := w.ask("POST", path(j, "extend"), j.Lease, nil, &x); status != 200 || !strings.Contains(x.Token, "two") {
			t.Fatalf("extend: %d %s", status, said)
		}
		w.must(w.engine.DeleteRepository(w.ctx, "two", true))
		if status, _ := w.ask("POST", path(j, "extend"), j.Lease, nil, nil); status != http.StatusConflict {
			t.Errorf("the lease of what is gone is extended: %d", status)
		}
		w.wantJobs(0)
		_, err := w.service.Scan(w.ctx, "one", image.Digest)
		w.wantError("Scan", err, registry.ErrManifestUnknown)

		w.push("one", image)
		w.must(w.engine.DeleteManifest(w.ctx, "one", image.Digest))
		k.wantNone()
		w.wantJobs(0)
		w.push("one", image) // nothing of the above keeps it from being scanned
		k.scanned("CVE-1")

		n, _, err := w.db.ForgetScans(w.ctx, "", 10)
		w.must(err)
		if n != 0 {
			t.Errorf("%d reports are forgotten that are needed", n)
		}
		w.must(w.engine.DeleteManifest(w.ctx, "one", image.Digest))
		if n, _, err = w.db.ForgetScans(w.ctx, "", 10); err != nil || n != 1 {
			t.Errorf("%d reports are forgotten: %v", n, err)
		}
		for _, kept := range []func() ([]byte, error){
			func() ([]byte, error) { return w.db.ScanInventory(w.ctx, image.Digest) },
			func() ([]byte, error) { return w.db.ScanFindings(w.ctx, image.Digest) },
		} {
			if b, err := kept(); err != nil || b != nil {
				t.Errorf("%d bytes are kept: %v", len(b), err)
			}
		}
		_, err = w.engine.RestoreImage(w.ctx, "one", registry.ImageID{Digest: image.Digest}, registry.Restoration{})
		w.must(err)
		if j := k.scanned("CVE-2"); j.HasInventory {
			t.Error("there is still an inventory")
		}
	})
}

// TestArchived archives an image before and after it was scanned.
func TestArchived(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		class := func(c registry.StorageClass) {
			t.Helper()
			_, err := w.engine.SetStorageClass(w.ctx, "app", registry.ImageID{Digest: image.Digest}, c)
			w.must(err)
		}
		class(registry.Archive)
		w.wantStatus("app", image.Digest, scan.Archived, "archived")
		k := worker{w, "k", w.database("d")}
		k.wantNone()
		w.wantJobs(0)
		w.must(w.service.Schedule(w.ctx))
		w.wantJobs(0)
		_, err := w.service.Start(w.ctx, "app", image.Digest, true)
		w.wantError("Start", err, scan.ErrArchived)
		class(registry.Standard)
		k.scanned("CVE-1")
		class(registry.Archive)
		w.wantStatus("app", image.Digest, scan.Archived, "archived")
	})
}

// TestStart has images scanned by hand.
func TestStart(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		chart := registrytest.Recipe{Seed: 2, ArtifactType: "application/vnd.cncf.helm.chart"}.Image()
		empty := registrytest.Recipe{Seed: 3, Layers: -1}.Image()
		cache := registrytest.Recipe{Seed: 4}.Cache()
		for _, i := range []registrytest.Image{image, chart, empty, cache} {
			w.push("app", i)
		}
		w.wantJobs(0)
		_, err := w.service.Scan(w.ctx, "app", image.Digest)
		w.wantError("Scan", err, scan.ErrNotScanned)
		_, err = w.service.Report(w.ctx, "app", image.Digest)
		w.wantError("Report", err, scan.ErrNotScanned)
		_, err = w.service.Start(w.ctx, "nowhere", image.Digest, false)
		w.wantError("Start", err, registry.ErrNameUnknown)
		_, err = w.service.Start(w.ctx, "app", "sha256:"+image.Digest[8:]+"0", false)
		w.wantError("Start", err, registry.ErrManifestUnknown)
		for _, i := range []registrytest.Image{chart, empty, cache} {
			_, err = w.service.Start(w.ctx, "app", i.Digest, true)
			w.wantError("Start", err, scan.ErrUnsupportedImage)
		}
		s, err := w.service.Start(w.ctx, "app", image.Digest, false)
		w.must(err)
		if s.Status != scan.Pending || s.Cause != scan.ByHand || s.RequestedAt.IsZero() || s.Counts != nil {
			t.Errorf("the scan is %+v", s)
		}
		_, err = w.service.Start(w.ctx, "app", image.Digest, false)
		w.wantError("Start", err, registry.ErrLimitExceeded)
		k := worker{w, "k", w.database("d")}
		k.scanned()
		if s = w.state("app", image.Digest); s.Status != scan.Complete || s.Counts == nil || s.Counts.Total() != 0 {
			t.Errorf("the scan is %+v", s)
		}
		_, err = w.service.Start(w.ctx, "app", image.Digest, false)
		w.wantError("Start", err, registry.ErrLimitExceeded)
		w.passed += 25 * time.Hour
		if s, err = w.service.Start(w.ctx, "app", image.Digest, false); err != nil || s.Status != scan.Pending || s.Counts == nil {
			t.Errorf("the scan is %+v: %v", s, err)
		}
		if j := k.scanned("CVE-1"); !j.HasInventory {
			t.Error("the inventory is made again")
		}
		all, err := w.service.Scans(w.ctx, "app", []digest.Digest{image.Digest, chart.Digest, "sha256:0"})
		w.must(err)
		if len(all) != 1 || all[image.Digest].Counts[scan.Low] != 1 {
			t.Errorf("the scans are %+v", all)
		}
	})
}

// TestWhatIsScanned pushes all kinds of things where everything is scanned on push.
func TestWhatIsScanned(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		k := worker{world: w, name: "k"}
		unsupported := map[string]registrytest.Image{
			"an artifact":      registrytest.Recipe{Seed: 1, ArtifactType: "application/x"}.Image(),
			"an empty image":   registrytest.Recipe{Seed: 2, Layers: -1}.Image(),
			"a cache":          registrytest.Recipe{Seed: 3}.Cache(),
			"an index of none": registrytest.Recipe{Seed: 4}.Index(),
			"an attestation":   registrytest.Recipe{Seed: 5}.With(inTOTO(registrytest.NewBlob(5, 100))),
		}
		for what, image := range unsupported {
			w.push("app", image)
			if s := w.state("app", image.Digest); s.Status != scan.Unsupported {
				t.Errorf("%s is %s", what, s.Status)
			}
		}
		w.wantJobs(0)
		for _, image := range []registrytest.Image{
			registrytest.Recipe{Seed: 6, Docker: true}.Image(),
			registrytest.Recipe{Seed: 7, Algorithm: "sha512"}.Image(),
		} {
			w.push("app", image)
			k.take()
		}
		w.wantJobs(2)
		w.configure(`{"scanType":"BASIC","rules":[{"scanFrequency":"SCAN_ON_PUSH","repositoryFilters":[{"filter":"prod*","filterType":"WILDCARD"}]}]}`)
		w.push("app", registrytest.Recipe{Seed: 8}.Image())
		w.wantJobs(2)
		w.push("prod/app", registrytest.Recipe{Seed: 8}.Image())
		w.wantJobs(3)
		w.configure(`{"scanType":"ENHANCED","rules":[{"scanFrequency":"CONTINUOUS_SCAN","repositoryFilters":[{"filter":"app","filterType":"WILDCARD"}]}]}`)
		w.push("my/app/x", registrytest.Recipe{Seed: 9}.Image())
		w.wantJobs(4)
		w.configure(`{"scanType":"BASIC","rules":[]}`)
		w.push("plain", registrytest.Recipe{Seed: 10}.Image())
		w.wantJobs(4)
		_, err := w.engine.ChangeSettings(w.ctx, "plain", func(s *registry.Settings) error { s.ScanOnPush = true; return nil })
		w.must(err)
		w.push("plain", registrytest.Recipe{Seed: 11}.Image())
		w.wantJobs(5)
		w.configure(`{"rules":7}`) // which no door lets in
		w.push("plain", registrytest.Recipe{Seed: 12}.Image())
		w.wantJobs(5)
	})
}

func inTOTO(b registrytest.Blob) registrytest.Blob {
	b.MediaType = "application/vnd.in-toto+json"
	return b
}

// TestIndex scans an index of two images and an attestation.
func TestIndex(t *testing.T) {
	onBoth(t, func(w *world) {
		one, two := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		attestation := registrytest.Recipe{Seed: 3}.With(inTOTO(registrytest.NewBlob(3, 100)))
		index := registrytest.Recipe{}.Index(one, two, attestation)
		index.Manifest = platforms(w, index.Manifest, "linux/amd64", "linux/arm64/v8", "unknown/unknown")
		w.push("app", index, "v1")
		w.wantJobs(0)
		_, err := w.service.Start(w.ctx, "app", index.Digest, false)
		w.must(err)
		w.wantJobs(2)
		w.wantStatus("app", index.Digest, scan.Pending, "linux/amd64: ")
		_, err = w.service.Inventory(w.ctx, "app", index.Digest)
		w.wantError("Inventory", err, scan.ErrUnsupportedImage)
		k := worker{w, "k", w.database("d")}
		first := k.take()
		w.wantStatus("app", index.Digest, scan.InProgress, "")
		k.end(first, k.result(first, "CVE-1/HIGH", "CVE-2"), http.StatusNoContent)
		w.wantStatus("app", index.Digest, scan.Pending, "waits")
		w.passed += time.Hour
		k.scanned("CVE-1/HIGH", "CVE-3")
		s := w.state("app", index.Digest)
		if s.Status != scan.Complete || len(s.Platforms) != 2 || s.Platforms[1].Platform != "linux/arm64/v8" || s.CompletedAt.IsZero() {
			t.Errorf("the scan is %+v", s)
		}
		if diff := cmp.Diff(scan.Counts{scan.High: 1, scan.Low: 2}, s.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		r, err := w.service.Report(w.ctx, "app", index.Digest)
		w.must(err)
		if got := w.found("app", index.Digest); !slices.Equal(got, []string{"CVE-1/HIGH", "CVE-2", "CVE-3"}) {
			t.Errorf("found %v", got)
		}
		if at := r.Findings[0].FirstFoundAt; w.now().Sub(at) < time.Hour-time.Minute {
			t.Errorf("what both have was first found at %s", at)
		}
		w.wantStatus("app", one.Digest, scan.Complete, "")

		_, err = w.service.Start(w.ctx, "app", index.Digest, true)
		w.must(err)
		k.fail(k.take(), scan.Failure{Reason: "broken", Permanent: true}, http.StatusNoContent)
		k.scanned()
		w.wantStatus("app", index.Digest, scan.Failed, ": broken")

		// On push the same happens, once.
		w.scanAll()
		three, four := registrytest.Recipe{Seed: 4}.Image(), registrytest.Recipe{Seed: 5}.Image()
		w.push("b", three)
		w.wantJobs(1)
		w.push("b", registrytest.Recipe{Seed: 6}.Index(registrytest.Recipe{Seed: 7}.Index(three, four)))
		w.wantJobs(2)
	})
}

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

// TestLateResult: a result from the database before comes after the import of another one,
// with which the image is matched even so.
func TestLateResult(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image, "v1")
		k := worker{w, "k", w.database("first")}
		j := k.take()
		second := w.database("second")
		w.passed += time.Hour
		k.end(j, k.result(j, "CVE-1"), http.StatusNoContent)
		w.must(w.service.Schedule(w.ctx))
		k.database = second
		k.scanned("CVE-2")
		if got := w.found("app", image.Digest); !slices.Equal(got, []string{"CVE-2"}) {
			t.Errorf("found %v", got)
		}
	})
}

// TestReturned has a vulnerability vanish and come back.
func TestReturned(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		k := worker{w, "k", w.database("d")}
		at := func(ids ...string) (times []time.Duration) {
			t.Helper()
			_, err := w.service.Start(w.ctx, "app", image.Digest, true)
			w.must(err)
			k.scanned(ids...)
			r, err := w.service.Report(w.ctx, "app", image.Digest)
			w.must(err)
			for _, f := range r.Findings {
				times = append(times, w.now().Sub(f.FirstFoundAt).Round(time.Hour))
			}
			w.passed += time.Hour
			return times
		}
		for i, step := range []struct {
			ids  []string
			want []time.Duration
		}{
			{[]string{"CVE-1", "CVE-2"}, []time.Duration{0, 0}},
			{[]string{"CVE-1", "CVE-2"}, []time.Duration{time.Hour, time.Hour}},
			{[]string{"CVE-2"}, []time.Duration{2 * time.Hour}},
			{[]string{"CVE-1", "CVE-2"}, []time.Duration{0, 3 * time.Hour}},
		} {
			if got := at(step.ids...); !slices.Equal(got, step.want) {
				t.Errorf("step %d: found %v ago, want %v", i, got, step.want)
			}
		}
	})
}

// TestOldDatabase has a result from an older database come after one from the present.
func TestOldDatabase(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image, "v1")
		_, err := w.service.Start(w.ctx, "app", image.Digest, false)
		w.must(err)
		old := worker{w, "old", w.database("old")}
		slow := old.take()
		fresh := worker{w, "fresh", w.database("fresh")}
		_, err = w.service.Start(w.ctx, "app", image.Digest, true)
		w.must(err)
		fresh.scanned("CVE-NEW")
		old.end(slow, old.result(slow, "CVE-OLD"), http.StatusNoContent)
		if ids := w.found("app", image.Digest); !slices.Equal(ids, []string{"CVE-NEW"}) {
			t.Errorf("found %v", ids)
		}
		if s := w.state("app", image.Digest); s.Database.Digest != fresh.database || s.Status != scan.Complete {
			t.Errorf("the scan is %+v", s)
		}
	})
}

// TestPushesAndResults has images pushed, deleted and scanned at once; in the end all that are
// there have been scanned, and nothing is left to do.
func TestPushesAndResults(t *testing.T) {
	onBoth(t, func(w *world) {
		w.scanAll()
		d := w.database("d")
		images := make([]registrytest.Image, 6)
		for i := range images {
			images[i] = registrytest.Recipe{Seed: uint64(i)}.Image()
		}
		var pushing, scanning sync.WaitGroup
		var done atomic.Bool
		for _, repo := range []registry.Name{"a", "b"} {
			pushing.Go(func() {
				for round := range 4 {
					for i, image := range images {
						w.push(repo, image, "v1")
						if (i+round)%3 == 0 {
							if err := w.engine.DeleteManifest(w.ctx, repo, image.Digest); err != nil {
								t.Error(err)
							}
						}
						if i == 2 {
							if _, _, err := w.db.ForgetScans(w.ctx, "", 100); err != nil {
								t.Error(err)
							}
						}
					}
				}
			})
		}
		for _, name := range []string{"one", "two"} {
			scanning.Go(func() {
				k := worker{w, name, d}
				for !done.Load() {
					if j, got := k.lease(100 * time.Millisecond); got {
						status, said := w.ask("PUT", path(j, "result"), j.Lease, k.result(j, "CVE-"+j.Digest.Encoded()), nil)
						// A report that was forgotten takes the result that relied on its inventory along.
						if status != http.StatusNoContent && status != http.StatusConflict && status != http.StatusUnprocessableEntity {
							t.Errorf("result: %d %s", status, said)
						}
					}
				}
			})
		}
		pushing.Wait()
		deadline := time.Now().Add(30 * time.Second)
		for _, repo := range []registry.Name{"a", "b"} {
			for _, image := range images {
				for {
					s, err := w.service.Scan(w.ctx, repo, image.Digest)
					if errors.Is(err, registry.ErrManifestUnknown) {
						break
					}
					w.must(err)
					if s.Status == scan.Complete && s.Counts.Total() == 1 {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("%s in %s is %s (%s)", image.Digest, repo, s.Status, s.Reason)
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
		}
		done.Store(true)
		scanning.Wait()
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
