package database_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
	"berth/scan/database"
	"berth/scan/database/databasetest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

func TestMain(m *testing.M) {
	// Nobody's credentials are used, unless a test has its own.
	os.Setenv("DOCKER_CONFIG", "/nonexistent")
	pgtest.Main(m)
}

var made = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// world is a registry with a database of either kind.
type world struct {
	db       *meta.DB
	engine   *engine.Engine
	importer *database.Importer
}

func onBoth(t *testing.T, run func(t *testing.T, w world)) {
	t.Run("SQLite", func(t *testing.T) { run(t, newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "berth.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { run(t, newWorld(t, pgtest.Database(t))) })
}

func newWorld(t *testing.T, url string) world {
	t.Helper()
	db, err := meta.Open(t.Context(), url, meta.Options{Connections: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	e := engine.New(db, mem.New(), engine.Options{})
	return world{db, e, &database.Importer{Registry: e, Store: db}}
}

// serves has a database of a kind be current that was made at a time, with all that is needed
// to pull it.
func (w world) serves(t *testing.T, kind scan.DatabaseKind, made time.Time) scan.Database {
	t.Helper()
	d, err := w.db.VulnerabilityDatabase(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	if !d.UpdatedAt.Equal(made) || !d.NextUpdate.Equal(made.Add(24*time.Hour)) {
		t.Fatalf("the database is %+v, and should be made at %s", d, made)
	}
	m, err := w.engine.Manifest(t.Context(), d.Repository, registry.Reference{Digest: d.Digest})
	if err != nil {
		t.Fatal(err)
	}
	content, err := registry.ParseManifest(m.MediaType, m.Bytes)
	if err != nil || len(content.Layers) != 1 || content.Layers[0].Digest != d.Layer {
		t.Fatalf("%+v: %s, %v", d, m.Bytes, err)
	}
	b, err := w.engine.OpenBlob(t.Context(), d.Repository, d.Layer, registry.Span{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Content.Close()
	got, err := database.Check(b.Content, kind)
	if err != nil || !got.UpdatedAt.Equal(made) {
		t.Fatalf("%+v, %v", got, err)
	}
	return d
}

// holds counts the manifests of a repository, and fails if uploads are left over.
func (w world) holds(t *testing.T, repo registry.Name, want int) {
	t.Helper()
	images, _, err := w.engine.Images(t.Context(), repo, registry.ImagesQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != want {
		t.Errorf("%s has %d manifests, and should have %d: %+v", repo, len(images), want, images)
	}
	err = w.engine.ExpireUploads(t.Context(), time.Now().Add(time.Hour), true, func(x engine.Expired) { t.Errorf("left over: %+v", x) })
	if err != nil {
		t.Error(err)
	}
}

// artifact reads what is at a reference.
func artifact(t *testing.T, reference string) database.Artifact {
	t.Helper()
	a, err := readArtifact(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func readArtifact(ctx context.Context, reference string) (database.Artifact, error) {
	u, err := database.ParseReference(reference, "berth/test")
	if err != nil {
		return database.Artifact{}, err
	}
	return u.Artifact(ctx)
}

// layer is a vulnerability database.
func layer(t *testing.T, made time.Time) []byte {
	return databasetest.Layer(t, scan.Vulnerabilities, made)
}
