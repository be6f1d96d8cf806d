package engine_test
import ("testing";"os";"fmt";"context";"berth/storage/meta";"berth/registry/engine";"berth/storage/blob/mem";"berth/registry";"berth/registry/registrytest")
func nfd() int { fds, _ := os.ReadDir("/proc/self/fd"); return len(fds) }
func TestZLeak(t *testing.T) {
	b := registrytest.NewBlob(1, 100)
	im := registrytest.Recipe{Seed:1}.Image()
	for name, f := range map[string]func(e *engine.Engine){
		"nothing": func(e *engine.Engine){},
		"repos": func(e *engine.Engine){ e.Repositories(t.Context(), "", 10) },
		"stat": func(e *engine.Engine){ e.StatBlob(t.Context(), "a", b.Digest) },
		"put": func(e *engine.Engine){ e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest) },
		"put+stat": func(e *engine.Engine){ e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest); e.StatBlob(t.Context(), "a", b.Digest) },
		"referrers": func(e *engine.Engine){ e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest); e.Referrers(t.Context(), "a", registry.ReferrersQuery{Subject:b.Digest,Limit:1}) },
		"push": func(e *engine.Engine){ push(t, e, "a", im, "x"); e.Manifest(t.Context(), "a", registry.Reference{Tag:"x"}) },
		"upload": func(e *engine.Engine){ e.Upload(t.Context(), "a", "x") },
		"start": func(e *engine.Engine){ u, _ := e.StartUpload(t.Context(), "a", "sha256"); e.AppendUpload(t.Context(), "a", u.ID, b.Part(0,10)) },
		"badput": func(e *engine.Engine){ e.PutBlob(t.Context(), "a", b.Part(0,10), b.Digest) },
		"blobrepos": func(e *engine.Engine){ e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest); e.BlobRepositories(t.Context(), b.Digest, "", 10) },
		"inspect": func(e *engine.Engine){ push(t, e, "a", im, "x"); e.Inspect(t.Context(), engine.Check{Deep:true,Found: func(engine.Problem) error {return nil}}) },
		"badmanifest": func(e *engine.Engine){ e.PutManifest(t.Context(), "a", im.Manifest, nil) },
	} {
		n := nfd()
		dir := t.TempDir()
		for i := range 20 {
			db, err := meta.Open(context.Background(), fmt.Sprintf("sqlite:%s/%d.db", dir, i), meta.Options{})
			if err != nil { t.Fatal(err) }
			f(engine.New(db, mem.New(), open))
			if err := db.Close(); err != nil { t.Fatal(err) }
		}
		t.Log(name, nfd()-n)
	}
}
