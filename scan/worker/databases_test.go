package worker

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/scan"
)

// at is a time, in hours of a day.
func at(hour int) time.Time { return time.Date(2024, 5, 1, hour, 0, 0, 0, time.UTC) }

// ids are the vulnerabilities of a result.
func ids(r scan.Result) (ids []string) {
	for _, f := range r.Findings {
		ids = append(ids, f.ID)
	}
	return ids
}

// kept lists the folders of databases.
func keptIn(t *testing.T, data string) []string {
	names, err := filepath.Glob(filepath.Join(data, databaseFolder, string(scan.Vulnerabilities), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestDatabaseSwap has newer databases used without a restart, and older ones removed.
func TestDatabaseSwap(t *testing.T) {
	r := newRegistry(t)
	first := r.setDatabase(database("1"), at(1), at(2))
	data, stop := start(t, r, nil)
	if got := r.result(r.push("team/app", "layer 1")); len(got.Findings) != 1 || got.Findings[0].ID != "CVE-1" || got.Database != first.Digest {
		t.Errorf("findings are %+v, from %s", got.Findings, got.Database)
	}
	engines := enginesOf(t, data)
	// The next job is done with the next database, however long the last look is ago.
	second := r.setDatabase(database("2"), at(3), at(4))
	if got := r.result(r.push("team/app", "layer 2")); len(got.Findings) != 1 || got.Findings[0].ID != "CVE-2" || got.Database != second.Digest {
		t.Errorf("findings are %+v, from %s", got.Findings, got.Database)
	}
	if again := enginesOf(t, data); len(again) != 1 || again[0] != engines[0] {
		t.Errorf("engines are %v, and were %v", again, engines)
	}
	r.until("one database is kept", func() bool { return len(keptIn(t, data)) == 1 })
	stop()

	// Another life goes on with it, and needs to fetch nothing.
	reads := r.reads[second.Layer]
	start(t, r, func(o *Options) { o.Data = data })
	if got := r.result(r.push("team/app", "layer 3")); len(got.Findings) != 1 || got.Findings[0].ID != "CVE-2" {
		t.Errorf("findings are %v", ids(got))
	}
	if r.reads[second.Layer] != reads {
		t.Error("the database was fetched again")
	}
}

// TestDatabaseSoon has a database fetched by a worker that has nothing to do, as soon as the
// registry has answered that there is no job.
func TestDatabaseSoon(t *testing.T) {
	r := newRegistry(t)
	data, _ := start(t, r, nil)
	r.until("the worker asks for a job", func() bool { return len(r.requests) > 0 })
	r.setDatabase(database("1"), at(1), at(2))
	began := time.Now()
	r.until("the database is there", func() bool {
		names := keptIn(t, data)
		return len(names) == 1 && !strings.HasPrefix(filepath.Base(names[0]), newFolder)
	})
	if took := time.Since(began); took > lookEvery/2 {
		t.Errorf("it took %s", took)
	}
}

// TestDatabaseBad has a worker go on with a good database when the next one is not.
func TestDatabaseBad(t *testing.T) {
	for name, test := range map[string]struct {
		layer   []byte
		trouble string
	}{
		"unreadable":         {database("unreadable"), "cannot be opened: it is no database"},
		"deadly":             {database("deadly"), "cannot be opened: the engine died of it: panic: the database is deadly"},
		"no gzip":            {[]byte("<html>"), "is not compressed by gzip"},
		"cut off":            {database(strings.Repeat("2", 50_000))[:100], "unexpected EOF"},
		"something after it": {append(database("2"), "more"...), "does not end where it should"},
		"a file missing":     {archive(tarFile{name: "trivy.db", content: "2"}), "lacks metadata.json"},
		"a file too many":    {archive(tarFile{name: "trivy.db", content: "2"}, tarFile{name: "metadata.json"}, tarFile{name: "more", content: "2"}), `does not belong there: "more"`},
		"a file twice":       {archive(tarFile{name: "trivy.db", content: "2"}, tarFile{name: "trivy.db", content: "3"}), `does not belong there: "trivy.db"`},
		"outside":            {archive(tarFile{name: "../trivy.db", content: "2"}, tarFile{name: "metadata.json"}), `does not belong there: "../trivy.db"`},
		"a link":             {archive(tarFile{name: "trivy.db", kind: tar.TypeSymlink, link: "/etc/passwd"}, tarFile{name: "metadata.json"}), `does not belong there: "trivy.db"`},
		"a device":           {archive(tarFile{name: "trivy.db", kind: tar.TypeChar}, tarFile{name: "metadata.json"}), `does not belong there: "trivy.db"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.setDatabase(database("1"), at(1), at(2))
			data, _ := start(t, r, nil)
			r.result(r.push("team/app", "layer 1"))
			bad := r.setDatabase(test.layer, at(3), at(4))
			if got := r.result(r.push("team/app", "layer 2")); len(got.Findings) != 1 || got.Findings[0].ID != "CVE-1" {
				t.Errorf("findings are %v", ids(got))
			}
			r.result(r.push("team/app", "layer 3"))
			r.told(test.trouble)
			if n := r.reads[bad.Layer]; n != 1 {
				t.Errorf("the bad database was fetched %d times", n)
			}
			r.until("the good one is kept alone", func() bool { return len(keptIn(t, data)) == 1 })
			// The next good one ends the trouble.
			r.setDatabase(database("4"), at(5), at(6))
			if got := r.result(r.push("team/app", "layer 4")); len(got.Findings) != 1 || got.Findings[0].ID != "CVE-4" {
				t.Errorf("findings are %v", ids(got))
			}
			r.until("the trouble is over", func() bool { return r.requests[len(r.requests)-1].Trouble == "" })
		})
	}
}

// TestDatabaseLies has the registry give other bytes than it says.
func TestDatabaseLies(t *testing.T) {
	r := newRegistry(t)
	r.setDatabase(database("1"), at(1), at(2))
	start(t, r, nil)
	r.result(r.push("team/app", "layer 1"))
	d := r.setDatabase(database("2"), at(3), at(4))
	r.mu.Lock()
	r.blobs[d.Layer] = database("3")
	r.mu.Unlock()
	if got := r.result(r.push("team/app", "layer 2")); got.Findings[0].ID != "CVE-1" {
		t.Errorf("findings are %v", ids(got))
	}
	r.result(r.push("team/app", "layer 3"))
	r.told("are not those of the blob")
}

// TestDatabaseBreaksOff has the connection end in the midst of a database.
func TestDatabaseBreaksOff(t *testing.T) {
	r := newRegistry(t)
	d := r.setDatabase(database(strings.Repeat("long", 10_000)), at(1), at(2))
	r.cut = 3
	start(t, r, nil)
	got := r.result(r.push("team/app", "layer"))
	if len(got.Findings) != 1 || !strings.HasPrefix(got.Findings[0].ID, "CVE-longlong") {
		t.Errorf("there are %d findings", len(got.Findings))
	}
	if r.reads[d.Layer] != 4 {
		t.Errorf("the database was asked for %d times", r.reads[d.Layer])
	}
}

// TestDatabaseOlder has the registry name an older database than the one in use.
func TestDatabaseOlder(t *testing.T) {
	r := newRegistry(t)
	r.setDatabase(database("2"), at(3), at(4))
	data, stop := start(t, r, nil)
	r.result(r.push("team/app", "layer 1"))
	r.setDatabase(database("1"), at(1), at(2)) // a replica that has not heard
	if got := r.result(r.push("team/app", "layer 2")); got.Findings[0].ID != "CVE-2" {
		t.Errorf("findings are %v", ids(got))
	}
	r.result(r.push("team/app", "layer 3"))
	r.told("older than the one in use")
	stop()
	_, stop = start(t, r, func(o *Options) { o.Data = data }) // nor in another life
	if got := r.result(r.push("team/app", "layer 4")); got.Findings[0].ID != "CVE-2" {
		t.Errorf("findings are %v", ids(got))
	}
	// Who imports an older one afterwards means it.
	r.setDatabase(database("1"), at(1), at(5))
	if got := r.result(r.push("team/app", "layer 5")); got.Findings[0].ID != "CVE-1" {
		t.Errorf("findings are %v", ids(got))
	}
	stop()
}

// TestDatabaseSpoilt has the disk spoil a database between two lives of a worker.
func TestDatabaseSpoilt(t *testing.T) {
	r := newRegistry(t)
	r.setDatabase(database("1"), at(1), at(2))
	data, stop := start(t, r, nil)
	r.result(r.push("team/app", "layer 1"))
	stop()
	dir := keptIn(t, data)
	if len(dir) != 1 {
		t.Fatalf("kept are %q", dir)
	}
	if err := os.WriteFile(filepath.Join(dir[0], "trivy.db"), []byte("unreadable"), 0o600); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(data, databaseFolder, string(scan.Vulnerabilities), newFolder+"1")
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, r, func(o *Options) { o.Data = data })
	if got := r.result(r.push("team/app", "layer 2")); len(got.Findings) != 1 || got.Findings[0].ID != "CVE-1" {
		t.Errorf("findings are %v", ids(got))
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("half a database is still there: %v", err)
	}
}

// TestUnpackLimit has a database unpack to more than it may.
func TestUnpackLimit(t *testing.T) {
	layer := database(strings.Repeat("0", 10_000))
	for limit, fails := range map[int64]bool{10_002: false, 10_001: true, 100: true} {
		err := unpack(scan.Vulnerabilities, strings.NewReader(string(layer)), t.TempDir(), limit)
		if (err != nil) != fails {
			t.Errorf("a limit of %d: %v", limit, err)
		}
	}
}

// TestFolderByRelativeName has an engine, which works in a folder of its own, find a database.
func TestFolderByRelativeName(t *testing.T) {
	t.Chdir(t.TempDir())
	r := newRegistry(t)
	r.setDatabase(database("1"), at(1), at(2))
	start(t, r, func(o *Options) { o.Data = "data" })
	if got := r.result(r.push("team/app", "layer 1")); len(got.Findings) != 1 || got.Findings[0].ID != "CVE-1" {
		t.Errorf("findings are %v", ids(got))
	}
}
