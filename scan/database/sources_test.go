package database_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/registry"
	"berth/scan"
	"berth/scan/database"
	"berth/scan/database/databasetest"
)

// login has a configuration of docker for a host.
func login(t *testing.T, host, credentials string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte(credentials)))
	write(t, dir, databasetest.File{Name: "config.json", Content: []byte(config)})
	t.Setenv("DOCKER_CONFIG", dir)
}

func write(t *testing.T, dir string, files ...databasetest.File) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// layout is an OCI layout of both databases, without tags as skopeo makes it.
func layout(t *testing.T, made time.Time) []databasetest.File {
	files := []databasetest.File{{Name: "oci-layout", Content: []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	index.SchemaVersion = 2
	add := func(b []byte) digest.Digest {
		d := digest.FromBytes(b)
		files = append(files, databasetest.File{Name: "blobs/sha256/" + d.Encoded(), Content: b})
		return d
	}
	for mediaType, kind := range map[string]scan.DatabaseKind{databasetest.LayerType: scan.Vulnerabilities, databasetest.JavaLayerType: scan.Java} {
		l := databasetest.Layer(t, kind, made)
		manifest, config := databasetest.Manifest(t, mediaType, l)
		add(l)
		add(config)
		index.Manifests = append(index.Manifests, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: add(manifest), Size: int64(len(manifest))})
	}
	b, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	return append(files, databasetest.File{Name: "index.json", Content: b})
}

func TestOpen(t *testing.T) {
	vulnerabilities, java := databasetest.Files(t, scan.Vulnerabilities, made), databasetest.Files(t, scan.Java, made)
	in := func(dir string, files []databasetest.File) (moved []databasetest.File) {
		for _, f := range files {
			moved = append(moved, databasetest.File{Name: dir + "/" + f.Name, Content: f.Content})
		}
		return moved
	}
	file := func(name string, content []byte) []databasetest.File {
		return []databasetest.File{{Name: name, Content: content}}
	}
	both := []scan.DatabaseKind{scan.Vulnerabilities, scan.Java}
	for name, test := range map[string]struct {
		files []databasetest.File
		open  string
		kinds []scan.DatabaseKind
	}{
		"layout":          {layout(t, made), "", both},
		"tar of a layout": {file("layout.tar", databasetest.Tar(t, layout(t, made)...)), "layout.tar", both},
		"layer":           {file("db.tar.gz", databasetest.Pack(t, vulnerabilities...)), "db.tar.gz", both[:1]},
		"layer, turned":   {file("x", databasetest.Pack(t, java[1], java[0])), "x", both[1:]},
		"folder":          {vulnerabilities, "", both[:1]},
		"cache":           {append(in("db", vulnerabilities), in("java-db", java)...), "", both},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
			dir := t.TempDir()
			write(t, dir, test.files...)
			for _, changed := range []bool{true, false} { // the second time it is known
				all, err := database.Open(t.Context(), filepath.Join(dir, test.open))
				if err != nil || len(all) != len(test.kinds) {
					t.Fatalf("%+v, %v", all, err)
				}
				for _, a := range all {
					if r, err := w.importer.Import(t.Context(), a, false); err != nil || r.Changed != changed {
						t.Fatalf("%+v, %v", r, err)
					}
				}
			}
			for _, kind := range test.kinds {
				w.serves(t, kind, made)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	files := databasetest.Files(t, scan.Vulnerabilities, made)
	whole := layout(t, made)
	damaged := layout(t, made)
	damaged[1].Content = append(bytes.Clone(damaged[1].Content[:100]), make([]byte, len(damaged[1].Content)-100)...)
	var lacking []databasetest.File
	for _, f := range whole {
		if !bytes.Contains(f.Content, []byte(`"layers"`)) {
			lacking = append(lacking, f)
		}
	}
	for name, test := range map[string]struct {
		files []databasetest.File
		open  string
		want  string
	}{
		"nothing":             {nil, "absent", "no such file"},
		"empty folder":        {nil, "", "there is no database in it"},
		"text":                {[]databasetest.File{{Name: "f", Content: []byte("some text")}}, "f", "neither a tar nor compressed"},
		"tar of other files":  {[]databasetest.File{{Name: "f", Content: databasetest.Tar(t, files...)}}, "f", "there is no database in it"},
		"compressed layout":   {[]databasetest.File{{Name: "f", Content: databasetest.Pack(t, whole...)}}, "f", "uncompress it (gunzip)"},
		"layer without":       {[]databasetest.File{{Name: "f", Content: databasetest.Pack(t, files[1])}}, "f", "neither trivy.db nor trivy-java.db"},
		"no metadata":         {files[:1], "", "no metadata.json beside trivy.db"},
		"damaged layout":      {damaged, "", "the database is not taken"},
		"incomplete layout":   {lacking, "", "not found"},
		"layout of something": {[]databasetest.File{whole[0], {Name: "index.json", Content: []byte(`{"schemaVersion":2,"manifests":[]}`)}}, "", "there is no database in it"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
			dir := t.TempDir()
			write(t, dir, test.files...)
			all, err := database.Open(t.Context(), filepath.Join(dir, test.open))
			for _, a := range all {
				if err == nil {
					_, err = w.importer.Import(t.Context(), a, false)
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestParseReference(t *testing.T) {
	for _, s := range []string{"ghcr.io/aquasecurity/trivy-db:2", "localhost/db:2", "http://10.0.0.1:5000/db:2", "[::1]:5000/db:2", "ghcr.io/a/b@" + digest.FromString("").String()} {
		if _, err := database.ParseReference(s, ""); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		"":                   "no reference",
		"trivy-db:2":         "no reference",
		"aquasec/trivy-db:2": "no reference", // of which registry?
		"ghcr.io/a/b":        "does not say which tag",
		"ghcr.io/A/b:2":      "no reference",
		"ftp://ghcr.io/b:2":  "no reference",
	} {
		if _, err := database.ParseReference(s, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// A database that was pushed to this registry is taken from there, without its bytes being
// stored again.
func TestIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w world) {
		ctx := t.Context()
		push := func(repo registry.Name, at time.Time) {
			t.Helper()
			l := layer(t, at)
			manifest, config := databasetest.Manifest(t, databasetest.LayerType, l)
			if _, err := w.engine.CreateRepository(ctx, repo, registry.Settings{}); err != nil && !strings.Contains(err.Error(), "there already") {
				t.Fatal(err)
			}
			for _, b := range [][]byte{l, config} {
				if _, err := w.engine.PutBlob(ctx, repo, registry.Chunk{Size: int64(len(b)), Body: bytes.NewReader(b)}, digest.FromBytes(b)); err != nil {
					t.Fatal(err)
				}
			}
			m := registry.Manifest{MediaType: registry.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Bytes: manifest}
			if _, err := w.engine.PutManifest(ctx, repo, m, []registry.Tag{"2"}); err != nil {
				t.Fatal(err)
			}
		}
		for n, repo := range []registry.Name{"ops/trivy-db", database.DefaultRepository} {
			at := made.Add(time.Duration(n) * time.Hour)
			push(repo, at)
			a, err := database.In(ctx, w.engine, repo, registry.Reference{Tag: "2"})
			if err != nil {
				t.Fatal(err)
			}
			r, err := w.importer.Import(ctx, a, false)
			if err != nil || !r.Changed || r.Source != string(repo)+":2" || r.Repository != database.DefaultRepository {
				t.Fatalf("%+v, %v", r, err)
			}
			w.serves(t, scan.Vulnerabilities, at)
		}
		if _, err := database.In(ctx, w.engine, "ops/trivy-db", registry.Reference{Tag: "3"}); err == nil {
			t.Error("a tag that is not there is found")
		}
	})
}
