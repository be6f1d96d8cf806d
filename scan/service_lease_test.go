package scan_test

import (
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
	"berth/scan/remote"
)

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
		_, err := w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{}) // though it was asked for a moment ago
		w.must(err)
		k.fail(k.take(), scan.Failure{Reason: "a bomb", Permanent: true}, http.StatusNoContent)
		w.wantStatus("app", image.Digest, scan.Failed, "a bomb")
		_, err = w.service.Start(w.ctx, "app", image.Digest, scan.StartOptions{Force: true})
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
