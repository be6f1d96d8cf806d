package transfer_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"time"

	"berth/storage/blob/fs"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/transfer"
)

// archive is that of a small registry.
func archive(t testing.TB, db *meta.DB) []byte {
	t.Helper()
	var b bytes.Buffer
	err := db.Snapshot(t.Context(), func(s *meta.Snapshot) error {
		_, err := transfer.WriteArchive(t.Context(), s, &b, "test", time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDamagedArchives are refused, and leave the database as empty as it was.
func TestDamagedArchives(t *testing.T) {
	from, _ := onDisk(t)
	populate(t, transfer.Place{Database: from.Database, Blobs: mem.New()}, 0, 1)
	whole := archive(t, from.Database)
	lines := unzip(t, whole)
	shelf, err := fs.Open(t.TempDir(), fs.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, new string) []byte { return zip(t, bytes.Replace(lines, []byte(old), []byte(new), 1)) }
	for name, b := range map[string][]byte{
		"empty":                 {},
		"not zipped":            lines,
		"something else":        zip(t, []byte("{}\n")),
		"cut off":               whole[:len(whole)/2],
		"without its end":       zip(t, lines[:bytes.LastIndexByte(lines[:len(lines)-1], '\n')+1]),
		"a changed row":         replaced("a/b", "a/c"),
		"from the future":       replaced(`"version":1`, `"version":2`),
		"an unknown table":      replaced(`"table":"tags"`, `"table":"tigs"`),
		"an unknown column":     replaced(`"digest"`, `"dogest"`),
		"a row of a wrong kind": replaced(`[1,"a/b"`, `[1,7`),
		"a row too long":        replaced(`[1,"a/b"`, `[1,1,"a/b"`),
		"no JSON":               replaced(`[1,"a/b"`, `[1,"a/b`),
	} {
		t.Run(name, func(t *testing.T) {
			if err := shelf.PutFile(t.Context(), "backup-x.jsonl.gz", bytes.NewReader(b)); err != nil {
				t.Fatal(err)
			}
			to, _ := onDisk(t)
			_, err := transfer.Restore(t.Context(), "backup-x.jsonl.gz", shelf, to, 1, quiet)
			if !errors.Is(err, transfer.ErrArchive) {
				t.Errorf("%v; want ErrArchive", err)
			}
			if err := to.Database.MustBeEmpty(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func unzip(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func zip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
