package meta_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// BenchmarkRun applies a policy to a repository of 100,000 tagged images, of which it takes
// 1,000. Beside the time of a run it tells that of reading the images, and the most that the
// heap has grown by meanwhile.
//
//	go test ./storage/meta -run '^$' -bench BenchmarkRun -benchtime 3x
func BenchmarkRun(b *testing.B) {
	for name, url := range map[string]string{
		"SQLite":     "sqlite:" + b.TempDir() + "/berth.db",
		"PostgreSQL": pgtest.Database(b),
	} {
		b.Run(name, func(b *testing.B) {
			db, err := meta.Open(b.Context(), url, meta.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			benchmarkRun(b, db)
		})
	}
}

func benchmarkRun(b *testing.B, db *meta.DB) {
	const images, taken = 100_000, 1000
	ctx, repo := b.Context(), registry.Name("large")
	put := func(from, to int) {
		for ; from < to; from += taken {
			if err := db.Update(ctx, manifests(ctx, repo, from, min(from+taken, to))); err != nil {
				b.Fatal(err)
			}
		}
	}
	put(0, images-taken)
	policy := fmt.Sprintf(`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["v*"],
		"countType":"imageCountMoreThan","countNumber":%d},"action":{"type":"expire"}}]}`, images-taken)
	err := db.Update(ctx, func(tx *meta.Tx) error {
		r, err := tx.LockRepository(ctx, repo)
		if err != nil {
			return err
		}
		return tx.PutLifecyclePolicy(ctx, r, policy)
	})
	if err != nil {
		b.Fatal(err)
	}
	pushed := images - taken
	var reading time.Duration
	var peak uint64
	for b.Loop() {
		b.StopTimer()
		put(pushed, pushed+taken)
		pushed += taken
		began := time.Now()
		if s, err := db.LifecycleSnapshot(ctx, repo); err != nil || len(s.Images) != images {
			b.Fatalf("%d images, %v", len(s.Images), err)
		}
		reading += time.Since(began)
		before, stop := heap(), watchHeap(&peak)
		b.StartTimer()
		run, err := lifecycle.NewPruner(db, lifecycle.Options{}).RunNow(ctx, repo, false)
		b.StopTimer()
		stop()
		if err != nil || run.Expired != taken || run.Images != images {
			b.Fatalf("%+v, %v", run, err)
		}
		peak -= min(peak, before)
		b.ReportMetric(float64(peak)/1e6, "MB")
		b.StartTimer()
	}
	b.ReportMetric(reading.Seconds()/float64(b.N), "s-reading/op")
}

// manifests are images with a number and a tag each, which name no blobs.
func manifests(ctx context.Context, repo registry.Name, from, to int) func(*meta.Tx) error {
	return func(tx *meta.Tx) error {
		r, _, err := tx.CreateRepository(ctx, repo, registry.Settings{})
		for n := from; n < to && err == nil; n++ {
			content := fmt.Appendf(nil, `{"number":%d}`, n)
			m := registry.Manifest{Digest: digest.FromBytes(content), MediaType: "application/vnd.oci.image.manifest.v1+json", Bytes: content}
			var id int64
			if id, err = tx.PutManifest(ctx, r, m, registry.Content{MediaType: m.MediaType}); err == nil {
				err = tx.PutTag(ctx, r, registry.Tag(fmt.Sprintf("v%d", n)), id, m.Digest)
			}
		}
		return err
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watchHeap notes how large the heap grows until it is stopped.
func watchHeap(peak *uint64) (stop func()) {
	*peak = 0
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapAlloc)
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() { close(end); <-ended }
}
