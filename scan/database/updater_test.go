package database_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/registry"
	"berth/scan"
	"berth/scan/database"
	"berth/scan/database/databasetest"
)

func TestDue(t *testing.T) {
	const every = 6 * time.Hour
	now := made
	present := scan.Database{Digest: "sha256:a", NextUpdate: now.Add(time.Hour)}
	overdue := scan.Database{Digest: "sha256:a", NextUpdate: now.Add(-time.Second)}
	asked := func(ago time.Duration, failures int) scan.DatabaseUpdate {
		return scan.DatabaseUpdate{Reference: "here", AttemptedAt: now.Add(-ago), Failures: failures}
	}
	for name, test := range map[string]struct {
		last    scan.DatabaseUpdate
		present scan.Database
		want    bool
	}{
		"never asked":                    {scan.DatabaseUpdate{}, scan.Database{}, true},
		"imported, never asked":          {scan.DatabaseUpdate{}, present, true},
		"asked elsewhere":                {scan.DatabaseUpdate{Reference: "there", AttemptedAt: now}, present, true},
		"there is none":                  {asked(time.Second, 0), scan.Database{}, true},
		"a newer one is not due":         {asked(30*24*time.Hour, 0), present, false},
		"a newer one is due":             {asked(every, 0), overdue, true},
		"it is, but was just asked for":  {asked(every-time.Second, 0), overdue, false},
		"right after a failure":          {asked(59*time.Second, 1), scan.Database{}, false},
		"a minute after a failure":       {asked(time.Minute, 1), scan.Database{}, true},
		"after the third":                {asked(4*time.Minute-1, 3), scan.Database{}, false},
		"four minutes after the third":   {asked(4*time.Minute, 3), scan.Database{}, true},
		"after the hundredth":            {asked(every-1, 100), overdue, false},
		"six hours after the hundredth":  {asked(every, 100), overdue, true},
		"a failure before it was needed": {asked(time.Minute, 1), present, true},
	} {
		if got := database.Due(test.last, "here", test.present, every, now); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestOld(t *testing.T) {
	for _, test := range []struct {
		age, next time.Duration // since it was made
		want      bool
	}{
		{71 * time.Hour, 24 * time.Hour, false},
		{73 * time.Hour, 24 * time.Hour, true},
		{73 * time.Hour, 72 * time.Hour, false}, // a new one is due since an hour
		{97 * time.Hour, 72 * time.Hour, true},
	} {
		d := scan.Database{UpdatedAt: made, NextUpdate: made.Add(test.next)}
		if got := d.Old(72*time.Hour, made.Add(test.age)); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}

// rounds is an updater whose clock stands until it is moved.
type rounds struct {
	world
	*database.Updater
	up     *databasetest.Upstream
	now    time.Time
	wanted bool
	busy   bool // another replica is at it
	log    bytes.Buffer
}

func newRounds(t *testing.T, w world) *rounds {
	r := &rounds{world: w, up: databasetest.NewUpstream(t), now: made.Add(time.Hour), wanted: true}
	r.Updater = database.NewUpdater(w.importer, w.db, database.UpdaterOptions{
		References: map[scan.DatabaseKind]string{scan.Vulnerabilities: r.up.Reference("db:2"), scan.Java: r.up.Reference("java:1")},
		Wanted:     func(context.Context) (bool, error) { return r.wanted, nil },
		Logger:     slog.New(slog.NewTextHandler(&r.log, nil)),
		Now:        func() time.Time { return r.now },
	})
	return r
}

// pass makes one and returns what the other registry was asked.
func (r *rounds) pass(t *testing.T) string {
	t.Helper()
	err := r.Pass(t.Context(), func(ctx context.Context, do func(context.Context) error) (bool, error) {
		if r.busy {
			return false, nil
		}
		return true, do(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(r.up.Requests(), "\n")
}

func (r *rounds) state(t *testing.T, kind scan.DatabaseKind) scan.DatabaseUpdate {
	t.Helper()
	all, err := r.db.DatabaseUpdates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(all, func(u scan.DatabaseUpdate) bool { return u.Kind == kind })
	if n < 0 {
		t.Fatalf("nothing is noted of %s", kind)
	}
	return all[n]
}

func TestUpdater(t *testing.T) {
	onBoth(t, func(t *testing.T, w world) {
		r := newRounds(t, w)
		first := r.up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
		r.up.Push(t, "java:1", databasetest.JavaLayerType, databasetest.Layer(t, scan.Java, made))

		// Nobody scans, or another replica does it: no word leaves the house.
		r.wanted = false
		if asked := r.pass(t); asked != "" {
			t.Errorf("asked although nobody scans: %s", asked)
		}
		r.wanted, r.busy = true, true
		if asked := r.pass(t); asked != "" {
			t.Errorf("asked beside another: %s", asked)
		}
		r.busy = false
		if asked := r.pass(t); !strings.Contains(asked, "/v2/db/blobs/") || !strings.Contains(asked, "/v2/java/blobs/") {
			t.Errorf("asked: %s", asked)
		}
		r.serves(t, scan.Vulnerabilities, made)
		r.serves(t, scan.Java, made)
		if s := r.state(t, scan.Vulnerabilities); s.Digest != first || s.Failures != 0 || !s.AttemptedAt.Equal(r.now) || !s.SucceededAt.Equal(r.now) {
			t.Errorf("%+v", s)
		}

		// Then it is quiet until a newer one is due, and one that is the same is not fetched.
		r.now = made.Add(23 * time.Hour)
		if asked := r.pass(t); asked != "" {
			t.Errorf("asked before it is due: %s", asked)
		}
		r.now = made.Add(25 * time.Hour)
		if asked := r.pass(t); asked != "HEAD /v2/db/manifests/2\nHEAD /v2/java/manifests/1" {
			t.Errorf("asked for the same: %s", asked)
		}
		r.now = r.now.Add(5 * time.Hour)
		if asked := r.pass(t); asked != "" {
			t.Errorf("asked again too soon: %s", asked)
		}
		r.up.Push(t, "db:2", databasetest.LayerType, layer(t, made.Add(28*time.Hour)))
		r.now = r.now.Add(time.Hour)
		r.pass(t)
		r.serves(t, scan.Vulnerabilities, made.Add(28*time.Hour))

		// One that is older is fetched once, and no failure.
		r.up.Push(t, "db:2", databasetest.LayerType, layer(t, made.Add(2*time.Hour)))
		r.now = r.now.Add(48 * time.Hour)
		if asked := r.pass(t); !strings.Contains(asked, "/v2/db/blobs/") {
			t.Errorf("asked for an older one: %s", asked)
		}
		r.now = r.now.Add(48 * time.Hour)
		if asked := r.pass(t); strings.Contains(asked, "/v2/db/blobs/") {
			t.Errorf("the older one is fetched again: %s", asked)
		}
		if s := r.state(t, scan.Vulnerabilities); s.Failures != 0 || s.Error != "" {
			t.Errorf("%+v", s)
		}
		d := r.serves(t, scan.Vulnerabilities, made.Add(28*time.Hour))

		// One that somebody has deleted comes back.
		r.up.Push(t, "db:2", databasetest.LayerType, layer(t, made.Add(28*time.Hour)))
		if err := r.engine.DeleteManifest(t.Context(), d.Repository, d.Digest); err != nil {
			t.Fatal(err)
		}
		r.pass(t)
		r.serves(t, scan.Vulnerabilities, made.Add(28*time.Hour))
	})
}

func TestUpdaterFails(t *testing.T) {
	onBoth(t, func(t *testing.T, w world) {
		r := newRounds(t, w)
		r.up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
		r.up.Push(t, "java:1", databasetest.LayerType, layer(t, made)) // --scan-java-db is wrong
		fail := true
		r.up.Before = func(w http.ResponseWriter, req *http.Request) bool {
			if fail && strings.HasPrefix(req.URL.Path, "/v2/db/") {
				http.Error(w, "", http.StatusBadGateway)
				return true
			}
			return false
		}
		r.pass(t)
		s := r.state(t, scan.Vulnerabilities)
		if s.Failures != 1 || !strings.Contains(s.Error, "502") || !s.SucceededAt.IsZero() {
			t.Errorf("%+v", s)
		}
		if j := r.state(t, scan.Java); j.Failures != 1 || !strings.Contains(j.Error, "is a vulnerability database, not a Java index; correct --scan-java-db") {
			t.Errorf("%+v", j)
		}
		for _, want := range []string{"a vulnerability database could not be fetched", "berth scan db import", "set --scan-db to a mirror or to off"} {
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("%q is not in the log: %s", want, r.log.String())
			}
		}
		r.now = r.now.Add(59 * time.Second)
		if asked := r.pass(t); asked != "" {
			t.Errorf("asked too soon: %s", asked)
		}
		for range 3 { // after 1, 2 and 4 minutes
			r.now = r.now.Add(4 * time.Minute)
			if asked := r.pass(t); asked == "" {
				t.Error("not asked again")
			}
		}
		if s := r.state(t, scan.Vulnerabilities); s.Failures != 4 {
			t.Errorf("%+v", s)
		}
		fail = false
		r.now = r.now.Add(8 * time.Minute)
		r.pass(t)
		r.serves(t, scan.Vulnerabilities, made)
		if s := r.state(t, scan.Vulnerabilities); s.Failures != 0 || s.Error != "" || !s.SucceededAt.Equal(r.now) {
			t.Errorf("%+v", s)
		}
	})
}

// Where nothing is fetched, the log still tells of a database that gets old, once a day.
func TestUpdaterWarns(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
	up := databasetest.NewUpstream(t)
	up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
	if _, err := w.importer.Import(t.Context(), artifact(t, up.Reference("db:2")), false); err != nil {
		t.Fatal(err)
	}
	r := newRounds(t, w)
	r.Updater = database.NewUpdater(w.importer, w.db, database.UpdaterOptions{
		Wanted: func(context.Context) (bool, error) { return true, nil },
		Logger: slog.New(slog.NewTextHandler(&r.log, nil)), Now: func() time.Time { return r.now },
	})
	for _, test := range []struct {
		after time.Duration
		want  int
	}{{71 * time.Hour, 0}, {73 * time.Hour, 1}, {80 * time.Hour, 1}, {98 * time.Hour, 2}} {
		r.now = made.Add(test.after)
		r.pass(t)
		if got := strings.Count(r.log.String(), "the vulnerability database is old"); got != test.want {
			t.Errorf("after %s: %d warnings: %s", test.after, got, r.log.String())
		}
	}
}

// Run ends with its context, also in the middle of a fetch, and notes no failure of that.
func TestUpdaterStops(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/berth.db")
	r := newRounds(t, w)
	r.up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
	ctx, cancel := context.WithCancel(t.Context())
	r.up.Before = func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/blobs/") {
			return false
		}
		w.(http.Flusher).Flush()
		cancel()
		<-req.Context().Done()
		return true
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx, func(ctx context.Context, do func(context.Context) error) (bool, error) { return true, do(ctx) })
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	if all, err := w.db.DatabaseUpdates(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := w.engine.Repository(t.Context(), database.DefaultRepository); err == nil {
		w.holds(t, database.DefaultRepository, 0)
	}
	if _, err := w.db.VulnerabilityDatabase(t.Context(), scan.Vulnerabilities); err == nil {
		t.Error("there is a database")
	} else if !strings.Contains(err.Error(), string(registry.CodeUnsupported)) {
		t.Error(err)
	}
}

// TestUpdaterKeepsWhatIsSaid has the other registry say what no database can keep: that is a
// failure as any, after which it is left alone for a while.
func TestUpdaterKeepsWhatIsSaid(t *testing.T) {
	onBoth(t, func(t *testing.T, w world) {
		r := newRounds(t, w)
		r.up.Push(t, "db:2", databasetest.LayerType, layer(t, made))
		r.up.Before = func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodHead {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"errors":[{"code":"X","message":"a\u0000b%s"}]}`, strings.Repeat("c", 7000))
			return true
		}
		r.pass(t)
		if s := r.state(t, scan.Vulnerabilities); s.Failures != 1 || !strings.Contains(s.Error, "a\uFFFDb") || len(s.Error) > 5000 {
			t.Errorf("%d failures, %d bytes: %q", s.Failures, len(s.Error), s.Error)
		}
		if asked := r.pass(t); asked != "" {
			t.Errorf("asked too soon: %s", asked)
		}
	})
}
