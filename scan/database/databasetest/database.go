// Package databasetest makes small vulnerability databases, and a registry to fetch them
// from, for tests.
package databasetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"berth/scan"
)

// The media types of layers.
const (
	LayerType     = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
	JavaLayerType = "application/vnd.aquasec.trivy.javadb.layer.v1.tar+gzip"
)

// File is one in a layer.
type File struct {
	Name    string
	Content []byte
}

// Files are those of a database of a kind that was made at a time. A newer one is due a
// day later.
func Files(t testing.TB, kind scan.DatabaseKind, made time.Time) []File {
	t.Helper()
	name, version, content := "trivy.db", 2, Bolt(t)
	if kind == scan.Java {
		name, version, content = "trivy-java.db", 1, SQLite()
	}
	metadata, err := json.Marshal(map[string]any{
		"Version": version, "UpdatedAt": made, "NextUpdate": made.Add(24 * time.Hour), "DownloadedAt": time.Time{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return []File{{name, content}, {"metadata.json", metadata}}
}

// Layer is such a database as it travels.
func Layer(t testing.TB, kind scan.DatabaseKind, made time.Time) []byte {
	t.Helper()
	return Pack(t, Files(t, kind, made)...)
}

// Pack makes a layer of files.
func Pack(t testing.TB, files ...File) []byte {
	t.Helper()
	return Zip(t, Tar(t, files...))
}

// Tar makes an archive of files.
func Tar(t testing.TB, files ...File) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o600, Size: int64(len(f.Content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Zip compresses.
func Zip(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Bolt is a file of bbolt, with a vulnerability in it.
func Bolt(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trivy.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("vulnerability"))
		if err != nil {
			return err
		}
		return b.Put([]byte("CVE-2020-0001"), []byte(`{"Title":"a test"}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// SQLite is what an empty file of SQLite begins with.
func SQLite() []byte {
	const page = 4096
	b := make([]byte, page)
	copy(b, "SQLite format 3\x00")
	binary.BigEndian.PutUint16(b[16:], page)
	b[18], b[19], b[21], b[22], b[23] = 1, 1, 64, 32, 32
	for at, value := range map[int]uint32{24: 1, 28: 1, 44: 4, 56: 1, 92: 1, 96: 3045001} {
		binary.BigEndian.PutUint32(b[at:], value)
	}
	b[100] = 0x0d                                     // a leaf of a table
	binary.BigEndian.PutUint16(b[105:], page%(1<<16)) // without cells
	return b
}
