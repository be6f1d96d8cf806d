package database_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/scan/database"
	"berth/scan/database/databasetest"
)

func TestImport(t *testing.T) {
	onBoth(t, func(t *testing.T, w world) {
		ctx := t.Context()
		up := databasetest.NewUpstream(t)
		first := up.Push(t, "aqua/trivy-db:2", databasetest.LayerType, layer(t, made))
		name := up.Reference("aqua/trivy-db:2")
		r, err := w.importer.Import(ctx, artifact(t, name), false)
		if err != nil || !r.Changed || r.Digest != first || r.Repository != database.DefaultRepository || r.Source != name || r.Version != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		if d := w.serves(t, scan.Vulnerabilities, made); d != r.Database || time.Since(d.ImportedAt) > time.Minute {
			t.Errorf("%+v is kept, and %+v told", d, r.Database)
		}
		w.holds(t, database.DefaultRepository, 1)
		tagged, err := w.engine.StatManifest(ctx, database.DefaultRepository, registry.Reference{Tag: "2"})
		if err != nil || tagged.Digest != first {
			t.Errorf("tag 2 is at %s, %v", tagged.Digest, err)
		}

		// The same again is not even fetched.
		up.Requests()
		a := artifact(t, name)
		if r, err = w.importer.Import(ctx, a, false); err != nil || r.Changed || r.Digest != first {
			t.Errorf("the same again: %+v, %v", r, err)
		}
		for _, request := range up.Requests() {
			if strings.HasSuffix(request, a.Layer.Digest.String()) {
				t.Errorf("the same again: %s", request)
			}
		}

		// Older: refused with both dates, and nothing of it stays, unless it is forced.
		up.Push(t, "aqua/trivy-db:old", databasetest.LayerType, layer(t, made.Add(-time.Hour)))
		_, err = w.importer.Import(ctx, artifact(t, up.Reference("aqua/trivy-db:old")), false)
		if !errors.Is(err, scan.ErrDatabaseOlder) || !strings.Contains(err.Error(), "2026-03-04T04:06:07Z") || !strings.Contains(err.Error(), "2026-03-04T05:06:07Z") {
			t.Errorf("older: %v", err)
		}
		w.serves(t, scan.Vulnerabilities, made)
		w.holds(t, database.DefaultRepository, 1)
		if r, err = w.importer.Import(ctx, artifact(t, up.Reference("aqua/trivy-db:old")), true); err != nil || !r.Changed {
			t.Errorf("older by force: %+v, %v", r, err)
		}
		w.serves(t, scan.Vulnerabilities, made.Add(-time.Hour))

		// The index has a place of its own.
		up.Push(t, "aqua/trivy-java-db:1", databasetest.JavaLayerType, databasetest.Layer(t, scan.Java, made))
		if r, err = w.importer.Import(ctx, artifact(t, up.Reference("aqua/trivy-java-db:1")), false); err != nil || r.Repository != database.DefaultJavaRepository {
			t.Errorf("%+v, %v", r, err)
		}
		w.serves(t, scan.Java, made)
		w.serves(t, scan.Vulnerabilities, made.Add(-time.Hour))
	})
}

// Old databases are deleted once there are more than three, and nothing else.
func TestImportPrunes(t *testing.T) {
	onBoth(t, func(t *testing.T, w world) {
		up := databasetest.NewUpstream(t)
		repo := database.DefaultRepository
		var digests []digest.Digest
		for n := range 7 {
			at := made.Add(time.Duration(n) * time.Hour)
			digests = append(digests, up.Push(t, "trivy-db:2", databasetest.LayerType, layer(t, at)))
			if _, err := w.importer.Import(t.Context(), artifact(t, up.Reference("trivy-db:2")), false); err != nil {
				t.Fatal(err)
			}
			if n == 0 { // somebody wants to keep this one, and has put something else there
				m, err := w.engine.Manifest(t.Context(), repo, registry.Reference{Digest: digests[0]})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.engine.PutManifest(t.Context(), repo, m, []registry.Tag{"kept"}); err != nil {
					t.Fatal(err)
				}
				other := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
				_, err = w.engine.PutManifest(t.Context(), repo, registry.Manifest{MediaType: registry.MediaTypeImageIndex, Digest: digest.FromBytes(other), Bytes: other}, nil)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		w.holds(t, repo, 6)
		for n, d := range digests {
			_, err := w.engine.StatManifest(t.Context(), repo, registry.Reference{Digest: d})
			if there, want := err == nil, n == 0 || n >= 3; there != want {
				t.Errorf("number %d is there: %t, and should be: %t", n, there, want)
			}
		}
	})
}

// What is not a whole database changes nothing, and nothing of it stays.
func TestImportRefuses(t *testing.T) {
	good := layer(t, made.Add(time.Hour))
	manifest, config := databasetest.Manifest(t, databasetest.LayerType, good)
	replaced := func(old, new string) []byte { return bytes.Replace(manifest, []byte(old), []byte(new), 1) }
	size := func(n int) []byte {
		return replaced(fmt.Sprintf(`"size":%d}]`, len(good)), fmt.Sprintf(`"size":%d}]`, n))
	}
	other := bytes.Clone(good)
	other[4]++ // a time, which nobody looks at
	elsewhere := bytes.ReplaceAll(manifest, []byte(digest.FromBytes(config)), []byte(digest.FromString("else")))
	blob := func(answer func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, digest.FromBytes(good).String()) {
				return false
			}
			answer(w)
			return true
		}
	}
	for name, test := range map[string]struct {
		push   func(u *databasetest.Upstream)
		before func(http.ResponseWriter, *http.Request) bool
		want   string
	}{
		"corrupt": {func(u *databasetest.Upstream) {
			u.Push(t, "db:2", databasetest.LayerType, good[:len(good)-3])
		}, nil, "cut off on its way"},
		"of another type": {func(u *databasetest.Upstream) {
			u.Push(t, "db:2", "application/vnd.oci.image.layer.v1.tar+gzip", good)
		}, nil, `its layer is of the type "application/vnd.oci.image.layer.v1.tar+gzip"`},
		"of a type that lies": {func(u *databasetest.Upstream) {
			u.Push(t, "db:2", databasetest.JavaLayerType, good)
		}, nil, `has "trivy.db", and should have trivy-java.db`},
		"an index": {func(u *databasetest.Upstream) {
			u.PushManifest("db:2", registry.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[]}`))
		}, nil, "an index of 0 manifests"},
		"no manifest": {func(u *databasetest.Upstream) {
			u.PushManifest("db:2", registry.MediaTypeImageManifest, []byte(`{`))
		}, nil, "not valid JSON"},
		"nothing": {func(*databasetest.Upstream) {}, nil, "not found"},
		"without layer": {func(u *databasetest.Upstream) {
			u.PushManifest("db:2", registry.MediaTypeImageManifest, manifest, config)
		}, nil, "not found"},
		"without config": {func(u *databasetest.Upstream) {
			u.PushManifest("db:2", registry.MediaTypeImageManifest, elsewhere, good)
		}, nil, "its config: "},
		"5 GiB": {func(u *databasetest.Upstream) {
			u.PushManifest("db:2", registry.MediaTypeImageManifest, size(5<<30), config, good)
		}, nil, "at most 4.0 GiB are allowed"},
		"more than it says": {func(u *databasetest.Upstream) {
			u.PushManifest("db:2", registry.MediaTypeImageManifest, size(len(good)-10), config, good)
		}, blob(func(w http.ResponseWriter) { w.(http.Flusher).Flush(); w.Write(good) }), fmt.Sprintf("more than the %d bytes", len(good)-10)},
		"another database than it says": {func(u *databasetest.Upstream) {
			u.Push(t, "db:2", databasetest.LayerType, good)
		}, blob(func(w http.ResponseWriter) { w.(http.Flusher).Flush(); w.Write(other) }), fmt.Sprintf("%d bytes arrived with the digest %s, and should be", len(good), digest.FromBytes(other))},
		"a connection that breaks": {func(u *databasetest.Upstream) {
			u.Push(t, "db:2", databasetest.LayerType, good)
		}, blob(func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			w.Write(good[:len(good)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), "broke off after"},
		"a page for people": {func(u *databasetest.Upstream) {
			u.Push(t, "db:2", databasetest.LayerType, good)
		}, blob(func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "<html>log in to the network</html>")
		}), "34 bytes arrived with the digest"},
		"a fault": {func(u *databasetest.Upstream) {
			u.Push(t, "db:2", databasetest.LayerType, good)
		}, blob(func(w http.ResponseWriter) { http.Error(w, "", http.StatusInternalServerError) }), "500"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
			up := databasetest.NewUpstream(t)
			up.Push(t, "db:first", databasetest.LayerType, layer(t, made))
			if _, err := w.importer.Import(t.Context(), artifact(t, up.Reference("db:first")), false); err != nil {
				t.Fatal(err)
			}
			test.push(up)
			up.Before = test.before
			a, err := readArtifact(t.Context(), up.Reference("db:2"))
			if err == nil {
				_, err = w.importer.Import(t.Context(), a, false)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			w.serves(t, scan.Vulnerabilities, made)
			w.holds(t, database.DefaultRepository, 1)
			if _, err := w.engine.StatBlob(t.Context(), database.DefaultRepository, digest.FromBytes(good)); !errors.Is(err, registry.ErrBlobUnknown) {
				t.Errorf("the layer is there: %v", err)
			}
		})
	}
}

// An import that is interrupted ends soon and leaves the one before.
func TestImportInterrupted(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
	up := databasetest.NewUpstream(t)
	up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
	if _, err := w.importer.Import(t.Context(), artifact(t, up.Reference("db:2")), false); err != nil {
		t.Fatal(err)
	}
	newer := layer(t, made.Add(time.Hour))
	up.Push(t, "db:2", databasetest.LayerType, newer)
	a := artifact(t, up.Reference("db:2"))
	ctx, cancel := context.WithCancel(t.Context())
	up.Before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(newer)))
		w.Write(newer[:100])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		return true
	}
	if _, err := w.importer.Import(ctx, a, false); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	w.serves(t, scan.Vulnerabilities, made)
	w.holds(t, database.DefaultRepository, 1)
}

// What the registry refuses is told, with what to do.
func TestImportIntoRefusal(t *testing.T) {
	for name, test := range map[string]struct {
		before func(w world) error
		err    error
		want   string
	}{
		"quota": {func(w world) error { return w.db.SetQuota(t.Context(), "berth", 100) }, registry.ErrQuotaExceeded, ""},
		"immutable tags": {func(w world) error {
			_, err := w.engine.ChangeSettings(t.Context(), database.DefaultRepository, func(s *registry.Settings) error {
				s.Mutability.Mode = registry.Immutable
				return nil
			})
			return err
		}, registry.ErrTagFixed, "make the tags of repository berth/trivy-db mutable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
			up := databasetest.NewUpstream(t)
			for n, at := range []time.Time{made, made.Add(time.Hour)} {
				l := layer(t, at)
				up.Push(t, "db:2", databasetest.LayerType, l)
				_, err := w.importer.Import(t.Context(), artifact(t, up.Reference("db:2")), false)
				if n == 0 {
					if err != nil {
						t.Fatal(err)
					}
					if err := test.before(w); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v", err)
				}
			}
			w.serves(t, scan.Vulnerabilities, made)
			w.holds(t, database.DefaultRepository, 1)
		})
	}
}

// A registry whose database was deleted takes any, also one that is older.
func TestImportAfterDeletion(t *testing.T) {
	onBoth(t, func(t *testing.T, w world) {
		up := databasetest.NewUpstream(t)
		d := up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
		up.Push(t, "db:old", databasetest.LayerType, layer(t, made.Add(-time.Hour)))
		for _, tag := range []string{"2", "old", "2"} {
			r, err := w.importer.Import(t.Context(), artifact(t, up.Reference("db:"+tag)), false)
			if err != nil || !r.Changed {
				t.Fatalf("%s: %+v, %v", tag, r, err)
			}
			if err := w.engine.DeleteManifest(t.Context(), database.DefaultRepository, r.Digest); err != nil {
				t.Fatal(err)
			}
			if _, err := w.importer.Present(t.Context(), scan.Vulnerabilities); !errors.Is(err, registry.ErrNotSet) || !strings.Contains(err.Error(), "import it again") {
				t.Errorf("after %s: %v", d, err)
			}
		}
	})
}

func TestImportWithCredentials(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
	up := databasetest.NewUpstream(t)
	up.Password = "a-password"
	up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
	name := up.Reference("db:2")
	if _, err := readArtifact(t.Context(), name); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without credentials: %v", err)
	}
	host, _, _ := strings.Cut(name, "/")
	login(t, host, "reader:a-password")
	if _, err := w.importer.Import(t.Context(), artifact(t, name), false); err != nil {
		t.Fatal(err)
	}
	w.serves(t, scan.Vulnerabilities, made)
}
