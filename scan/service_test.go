package scan_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/registry/registrytest"
	"berth/scan"
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
		_, err := w.service.Start(w.ctx, "app", index.Digest, scan.StartOptions{})
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

		_, err = w.service.Start(w.ctx, "app", index.Digest, scan.StartOptions{Force: true})
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
