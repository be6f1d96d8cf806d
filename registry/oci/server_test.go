package oci_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"berth/auth"
	"berth/registry"
	"berth/registry/engine"
	"berth/registry/oci"
	"berth/storage/blob"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// server is a registry that listens, with an engine behind it and nobody on guard.
type server struct {
	*httptest.Server
	engine   *engine.Engine
	database string // where it is
	accesses chan oci.Record
}

// serve starts a server. A nil store is one in memory; one that is given gets all
// blobs, however small.
func serve(t *testing.T, store blob.Store, change func(*oci.Options)) *server {
	t.Helper()
	return serveBehind(t, store, change, func(e registry.Registry) registry.Registry { return e })
}

// serveBehind is serve with something between the server and the engine.
func serveBehind(t *testing.T, store blob.Store, change func(*oci.Options), wrap func(registry.Registry) registry.Registry) *server {
	t.Helper()
	smallBlobs := int64(-1)
	if store == nil {
		store, smallBlobs = mem.New(), 0
	}
	s := &server{
		database: filepath.Join(t.TempDir(), "berth.db"),
		accesses: make(chan oci.Record, 10_000),
	}
	db, err := meta.Open(t.Context(), "sqlite:"+s.database, meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.engine = engine.New(db, store, engine.Options{CreateOnPush: true, MaxSmallBlob: smallBlobs})
	opts := oci.Options{
		Authenticate: func(*http.Request) (auth.Principal, error) { return auth.Nobody, nil },
		Challenge:    func(*http.Request, error) string { return "Basic" },
		StallTimeout: 10 * time.Second,
		Observe:      func(a oci.Record) { s.accesses <- a },
	}
	if change != nil {
		change(&opts)
	}
	s.Server = httptest.NewServer(oci.New(wrap(s.engine), opts))
	t.Cleanup(func() {
		s.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// script runs lines of a script against the server.
func (s *server) script(t *testing.T, text string) {
	t.Helper()
	newScript(t, s.URL).run("script", text)
}
