package database

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // makes files

	"berth/scan"
	"berth/scan/database/databasetest"
)

var made = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestCheck(t *testing.T) {
	for _, kind := range []scan.DatabaseKind{scan.Vulnerabilities, scan.Java} {
		m, err := check(bytes.NewReader(databasetest.Layer(t, kind, made)), formOf(kind), MaxUnpacked, made)
		if err != nil || !m.UpdatedAt.Equal(made) || !m.NextUpdate.Equal(made.Add(24*time.Hour)) || m.Version != formOf(kind).version {
			t.Errorf("%s: %+v, %v", kind, m, err)
		}
	}
}

// TestCheckNext has a database say that there is none after it for a long time.
func TestCheckNext(t *testing.T) {
	for next, want := range map[string]time.Time{
		"9999-12-31T23:59:59Z": made.Add(30 * 24 * time.Hour),
		"2026-03-07T00:00:00Z": time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC),
	} {
		says := databasetest.File{Name: "metadata.json", Content: fmt.Appendf(nil, `{"Version":2,"UpdatedAt":%q,"NextUpdate":%q}`, made.Format(time.RFC3339), next)}
		layer := databasetest.Pack(t, databasetest.Files(t, scan.Vulnerabilities, made)[0], says)
		m, err := check(bytes.NewReader(layer), formOf(scan.Vulnerabilities), MaxUnpacked, made)
		if err != nil || !m.NextUpdate.Equal(want) {
			t.Errorf("%s: %s, %v", next, m.NextUpdate, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	files := databasetest.Files(t, scan.Vulnerabilities, made)
	db, metadata := files[0], files[1]
	layer := databasetest.Pack(t, files...)
	named := func(f databasetest.File, name string) databasetest.File {
		return databasetest.File{Name: name, Content: f.Content}
	}
	says := func(text string) databasetest.File {
		return databasetest.File{Name: "metadata.json", Content: []byte(text)}
	}
	changed := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 0x40
		return b
	}
	cut := func(n int) databasetest.File { return databasetest.File{Name: db.Name, Content: db.Content[:n]} }
	bothMetas := databasetest.File{Name: db.Name, Content: changed(changed(db.Content, 16+20), 4096+16+20)}
	special := func(kind byte) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: "trivy.db", Typeflag: kind, Linkname: "/etc/passwd"}); err != nil {
			t.Fatal(err)
		}
		return databasetest.Zip(t, b.Bytes())
	}
	for name, test := range map[string]struct {
		layer []byte
		want  string
	}{
		"nothing":              {nil, "cut off"},
		"not compressed":       {databasetest.Tar(t, files...), "not compressed with gzip"},
		"no tar":               {databasetest.Zip(t, bytes.Repeat([]byte("x"), 2000)), "cannot be unpacked"},
		"cut off":              {layer[:len(layer)/2], "cut off"},
		"checksum cut off":     {layer[:len(layer)-3], "cut off"},
		"checksum":             {changed(layer, len(layer)-7), "checksum is wrong"},
		"trailing garbage":     {append(bytes.Clone(layer), "garbage that is longer than a header"...), "something follows"},
		"no database":          {databasetest.Pack(t, metadata), "no trivy.db in the archive"},
		"no metadata":          {databasetest.Pack(t, db), "no metadata.json in the archive"},
		"another file":         {databasetest.Pack(t, db, metadata, named(db, "more")), `has "more", and should have trivy.db and metadata.json only`},
		"escape":               {databasetest.Pack(t, named(db, "../trivy.db")), `has "../trivy.db"`},
		"java":                 {databasetest.Layer(t, scan.Java, made), `has "trivy-java.db"`},
		"twice":                {databasetest.Pack(t, db, metadata, db), "twice"},
		"symbolic link":        {special(tar.TypeSymlink), "not a plain file"},
		"hard link":            {special(tar.TypeLink), "not a plain file"},
		"device":               {special(tar.TypeBlock), "not a plain file"},
		"metadata no JSON":     {databasetest.Pack(t, db, says("{")), "metadata.json is not what it should be"},
		"metadata large":       {databasetest.Pack(t, db, says(strings.Repeat(" ", 65<<10)+"{}")), "at most 65536"},
		"another schema":       {databasetest.Pack(t, db, says(`{"Version":3,"UpdatedAt":"2026-01-01T00:00:00Z"}`)), "version 3, and this berth knows 2"},
		"no date":              {databasetest.Pack(t, db, says(`{"Version":2}`)), "does not say when"},
		"from the future":      {databasetest.Pack(t, db, says(`{"Version":2,"UpdatedAt":"2099-01-01T00:00:00Z"}`)), "yet to come"},
		"empty database":       {databasetest.Pack(t, cut(0), metadata), "too short"},
		"something else":       {databasetest.Pack(t, named(metadata, "trivy.db"), metadata), "trivy.db is damaged or something else"},
		"database cut off":     {databasetest.Pack(t, cut(4096*3), metadata), "it was cut off"},
		"no whole pages":       {databasetest.Pack(t, cut(len(db.Content)-1), metadata), "it was cut off"},
		"both pages damaged":   {databasetest.Pack(t, bothMetas, metadata), "checksum of its first page is wrong"},
		"header of a 1 EiB DB": {hugeEntry(t), "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := check(bytes.NewReader(test.layer), formOf(scan.Vulnerabilities), MaxUnpacked, made)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// hugeEntry is an archive that announces a lot and has little.
func hugeEntry(t *testing.T) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "trivy.db", Size: 1 << 60}); err != nil {
		t.Fatal(err)
	}
	return databasetest.Zip(t, b.Bytes())
}

// A bomb is left alone once it is larger than allowed, wherever it hides.
func TestCheckLimit(t *testing.T) {
	files := databasetest.Files(t, scan.Vulnerabilities, made)
	zeros := make([]byte, 4<<20)
	large := databasetest.File{Name: files[0].Name, Content: append(bytes.Clone(files[0].Content), zeros...)}
	for name, layer := range map[string][]byte{
		"database":          databasetest.Pack(t, large, files[1]),
		"after the archive": databasetest.Zip(t, append(databasetest.Tar(t, files...), zeros...)),
	} {
		_, err := check(bytes.NewReader(layer), formOf(scan.Vulnerabilities), 1<<20, made)
		if err == nil || !strings.Contains(err.Error(), "it unpacks to more than 1.0 MiB") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := check(bytes.NewReader(layer), formOf(scan.Vulnerabilities), 8<<20, made); err != nil {
			t.Errorf("%s within the limit: %v", name, err)
		}
	}
}

// One of the two first pages may be damaged: bbolt writes them in turn.
func TestCheckOneMetaPage(t *testing.T) {
	for _, at := range []int{16 + 20, 4096 + 16 + 20} {
		files := databasetest.Files(t, scan.Vulnerabilities, made)
		files[0].Content[at] ^= 1
		if _, err := check(bytes.NewReader(databasetest.Pack(t, files...)), formOf(scan.Vulnerabilities), MaxUnpacked, made); err != nil {
			t.Errorf("damaged at %d: %v", at, err)
		}
	}
}

// What SQLite itself writes is taken, whatever its pages are, and not when it was cut off.
func TestCheckSQLite(t *testing.T) {
	for _, page := range []int{512, 4096, 65536} {
		path := filepath.Join(t.TempDir(), "trivy-java.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{fmt.Sprintf("PRAGMA page_size = %d", page), "CREATE TABLE artifacts (id INTEGER)", "INSERT INTO artifacts VALUES (1)"} {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head := content[:min(len(content), headSize)]
		if err := checkSQLite(head, int64(len(content))); err != nil {
			t.Errorf("pages of %d: %v", page, err)
		}
		if err := checkSQLite(head, int64(len(content)-page)); err == nil {
			t.Errorf("pages of %d: one page less is taken", page)
		}
	}
	stale := databasetest.SQLite()
	binary.BigEndian.PutUint32(stale[28:], 7)
	if err := checkSQLite(stale, int64(len(stale))); err == nil {
		t.Error("seven pages in the room of one are taken")
	}
	stale[24]++ // somebody has written without keeping the count
	if err := checkSQLite(stale, int64(len(stale))); err != nil {
		t.Error(err)
	}
	for _, b := range [][]byte{nil, []byte("SQLite format 3\x00"), bytes.Repeat([]byte{1}, 200)} {
		if err := checkSQLite(b, int64(len(b))); err == nil {
			t.Errorf("%q is taken", b)
		}
	}
}

// Whatever bytes of an archive are others, nothing panics, and what is taken is a database.
func TestCheckMutations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for _, form := range forms {
		good := databasetest.Tar(t, databasetest.Files(t, form.kind, made)...)
		for range 300 {
			archive := bytes.Clone(good)
			for range 1 + random.IntN(4) {
				at := random.IntN(len(archive))
				if random.IntN(2) == 0 {
					at = random.IntN(1024) // where the first header and page are
				}
				archive[at] = byte(random.IntN(256))
			}
			m, err := check(bytes.NewReader(databasetest.Zip(t, archive)), form, 1<<20, made)
			if err != nil {
				continue
			}
			taken++
			if m.UpdatedAt.IsZero() || m.Version != form.version {
				t.Errorf("%+v", m)
			}
			r := tar.NewReader(bytes.NewReader(archive))
			h, err := r.Next()
			if err != nil || h.Name != form.file || h.Typeflag != tar.TypeReg {
				t.Errorf("%+v, %v", h, err)
			}
		}
	}
	if taken == 0 || taken == 300*len(forms) {
		t.Errorf("%d are taken", taken)
	}
}
