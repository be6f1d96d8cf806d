package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// layer is a layer in a file.
type layer struct {
	path   string
	media  string
	diffID string
}

// entries is a tar of headers; those of regular files have the content of the same place.
func entries(t *testing.T, headers []tar.Header, contents ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for n := range headers {
		var content []byte
		if n < len(contents) {
			content = contents[n]
		}
		h := headers[n]
		h.Size = int64(len(content))
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// files is a tar of regular files, given as name and content in turns.
func files(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var headers []tar.Header
	var contents [][]byte
	for n := 0; n < len(pairs); n += 2 {
		headers = append(headers, tar.Header{Name: pairs[n]})
		contents = append(contents, []byte(pairs[n+1]))
	}
	return entries(t, headers, contents...)
}

// open is an archive without its end, so that something can follow.
func open(archive []byte) []byte { return archive[:len(archive)-2*512] }

// piece is a part of a layer that is there many times in a row: compressed once, since what
// follows each other in gzip and zstd unpacks to what follows each other.
type piece struct {
	content []byte
	times   int
}

// zipped is a layer of pieces compressed by gzip.
func zipped(t *testing.T, pieces ...piece) layer {
	return compressed(t, typeGzip, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, pieces)
}

// zstandard is a layer of pieces compressed by zstd.
func zstandard(t *testing.T, pieces ...piece) layer {
	return compressed(t, typeZstd, func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}, pieces)
}

// mostHashed is how much of a layer is hashed, in bytes. No scanner comes to the end of one
// that unpacks to more.
const mostHashed = 6 << 30

func compressed(t *testing.T, media string, by func(io.Writer) io.WriteCloser, pieces []piece) layer {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	hashed := int64(0)
	for _, p := range pieces {
		var b bytes.Buffer
		w := by(&b)
		if _, err := w.Write(p.content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for range p.times {
			if _, err := f.Write(b.Bytes()); err != nil {
				t.Fatal(err)
			}
			if hashed += int64(len(p.content)); hashed < mostHashed {
				sum.Write(p.content)
			}
		}
	}
	return layer{f.Name(), media, fmt.Sprintf("sha256:%x", sum.Sum(nil))}
}

// plain is a layer of bytes as they are, which may be anything.
func plain(t *testing.T, media string, content []byte, diffID string) layer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return layer{path, media, diffID}
}

// jar is a jar of one file; tall has it nested so many times more.
func jar(t *testing.T, tall int, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if tall == 0 {
		return b.Bytes()
	}
	return jar(t, tall-1, "inner.jar", b.Bytes())
}
