package scan_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/scan"
)

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
		_, err := w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{Force: true})
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
		_, err = w.service.Start(w.ctx, "nowhere", image.Digest, scan.StartOptions{})
		w.wantError("Start", err, registry.ErrNameUnknown)
		_, err = w.service.Start(w.ctx, "app", "sha256:"+image.Digest[8:]+"0", scan.StartOptions{})
		w.wantError("Start", err, registry.ErrManifestUnknown)
		for _, i := range []registrytest.Image{chart, empty, cache} {
			_, err = w.service.Start(w.ctx, "app", i.Digest, scan.StartOptions{Force: true})
			w.wantError("Start", err, scan.ErrUnsupportedImage)
		}
		s, err := w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{})
		w.must(err)
		if s.Status != scan.Pending || s.Cause != scan.ByHand || s.RequestedAt.IsZero() || s.Counts != nil {
			t.Errorf("the scan is %+v", s)
		}
		_, err = w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{})
		w.wantError("Start", err, registry.ErrLimitExceeded)
		k := worker{w, "k", w.database("d")}
		k.scanned()
		if s = w.state("app", image.Digest); s.Status != scan.Complete || s.Counts == nil || s.Counts.Total() != 0 {
			t.Errorf("the scan is %+v", s)
		}
		_, err = w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{})
		w.wantError("Start", err, registry.ErrLimitExceeded)
		w.passed += 25 * time.Hour
		if s, err = w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{}); err != nil || s.Status != scan.Pending || s.Counts == nil {
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

// TestReturned has a vulnerability vanish and come back.
func TestReturned(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		k := worker{w, "k", w.database("d")}
		at := func(ids ...string) (times []time.Duration) {
			t.Helper()
			_, err := w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{Force: true})
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

// TestAnew has inventories made once more. The one that is there is good until then, and if
// the image cannot be read.
func TestAnew(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		w.start("app", image.Digest, scan.StartOptions{})
		k := worker{w, "k", w.database("d")}
		k.scanned("CVE-1")
		first := w.state("app", image.Digest).InventoryAt

		_, err := w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{Anew: true})
		w.wantError("Start", err, registry.ErrLimitExceeded)
		w.passed += time.Second
		w.start("app", image.Digest, scan.StartOptions{Force: true, Anew: true})
		w.start("app", image.Digest, scan.StartOptions{Force: true}) // does not take it back
		if got := w.found("app", image.Digest); !slices.Equal(got, []string{"CVE-1"}) {
			t.Errorf("meanwhile %q are found", got)
		}
		_, err = w.service.Inventory(w.ctx, "app", image.Digest)
		w.must(err)
		if j := k.scanned("CVE-1", "CVE-2"); j.HasInventory {
			t.Error("the inventory is not made anew")
		}
		if s := w.state("app", image.Digest); s.Status != scan.Complete || !s.InventoryAt.After(first) || s.Counts[scan.Low] != 2 {
			t.Errorf("the scan is %+v, its first inventory is of %s", s, first)
		}
		w.start("app", image.Digest, scan.StartOptions{Force: true})
		if j := k.scanned("CVE-1"); !j.HasInventory {
			t.Error("the inventory is made anew a second time")
		}

		w.start("app", image.Digest, scan.StartOptions{Force: true, Anew: true})
		k.fail(k.take(), scan.Failure{Reason: "a layer is gone", Permanent: true}, http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Failed, "a layer is gone")
		if got := w.found("app", image.Digest); !slices.Equal(got, []string{"CVE-1"}) {
			t.Errorf("after the failure %q are found", got)
		}
		k.database = w.database("e")
		w.must(w.service.Schedule(w.ctx))
		if j := k.scanned("CVE-3"); !j.HasInventory {
			t.Error("after the failure there is no inventory")
		}
		w.wantStatus("app", image.Digest, scan.Complete, "")
	})
}

// TestAnewWithoutDatabase makes an inventory anew that can be matched with nothing.
func TestAnewWithoutDatabase(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		_, err := w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{})
		w.must(err)
		k := worker{w, "k", ""}
		k.scanned()
		_, err = w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{Force: true, Anew: true})
		w.must(err)
		if j := k.scanned(); j.HasInventory || j.Match {
			t.Errorf("the job is %+v", j)
		}
		w.wantStatus("app", image.Digest, scan.Pending, "there is no vulnerability database yet")
		k.wantNone()
	})
}

// TestAnewMeanwhile asks for an inventory to be made anew while a job is under way that has
// not heard of it.
func TestAnewMeanwhile(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		w.push("app", image)
		k := worker{w, "k", w.database("d")}
		for what, end := range map[string]func(j scan.Job){
			"a result":  func(j scan.Job) { k.end(j, k.result(j, "CVE-1"), http.StatusNoContent) },
			"a failure": func(j scan.Job) { k.fail(j, scan.Failure{Reason: "no", Permanent: true}, http.StatusNoContent) },
		} {
			w.start("app", image.Digest, scan.StartOptions{Force: true})
			j := k.take()
			w.start("app", image.Digest, scan.StartOptions{Force: true, Anew: true})
			end(j)
			if s := w.state("app", image.Digest); s.Status != scan.Pending {
				t.Errorf("%s: the scan is %s", what, s.Status)
			}
			if j := k.scanned("CVE-2"); j.HasInventory {
				t.Errorf("%s: the inventory is not made anew", what)
			}
			w.wantStatus("app", image.Digest, scan.Complete, "")
			w.wantJobs(0)
		}
	})
}

// TestArchivedChild scans an index of which one image was archived before it was pushed.
func TestArchivedChild(t *testing.T) {
	onBoth(t, func(w *world) {
		old, fresh := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image()
		w.push("app", old)
		_, err := w.engine.SetStorageClass(w.ctx, "app", registry.ImageID{Digest: old.Digest}, registry.Archive)
		w.must(err)
		w.push("app", fresh)
		index := registrytest.Recipe{Seed: 3}.Index(old, fresh)
		index.Children = nil
		w.push("app", index)
		_, err = w.service.Start(w.ctx, "app", index.Digest, scan.StartOptions{})
		w.must(err)
		if j := (worker{w, "k", w.database("d")}).scanned("CVE-1"); j.Digest != fresh.Digest {
			t.Errorf("the job is %+v", j)
		}
		w.wantJobs(0)
		_, err = w.service.Start(w.ctx, "app", old.Digest, scan.StartOptions{})
		w.wantError("Start", err, scan.ErrArchived)
	})
}

// TestNested scans an image in an index in an index, as deep as is looked.
func TestNested(t *testing.T) {
	onBoth(t, func(w *world) {
		image := registrytest.Recipe{Seed: 1}.Image()
		top := image
		for i := range 3 {
			top = registrytest.Recipe{Seed: uint64(2 + i)}.Index(top)
		}
		w.push("app", top)
		_, err := w.service.Start(w.ctx, "app", top.Digest, scan.StartOptions{})
		w.must(err)
		w.wantStatus("app", top.Digest, scan.Pending, "no scanner has asked for work")
		(worker{w, "k", w.database("d")}).scanned("CVE-1")
		w.wantStatus("app", top.Digest, scan.Complete, "")
		if got := w.found("app", top.Digest); len(got) != 1 {
			t.Errorf("found %v", got)
		}
	})
}
