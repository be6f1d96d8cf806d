package scan_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/scan"
)

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

// TestOldDatabase has a result from an older database come after one from the present.
func TestOldDatabase(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image, "v1")
		_, err := w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{})
		w.must(err)
		old := worker{w, "old", w.database("old")}
		slow := old.take()
		fresh := worker{w, "fresh", w.database("fresh")}
		_, err = w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{Force: true})
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
