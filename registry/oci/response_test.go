package oci

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/registry/internal/buffers"
)

// kernel is a ResponseWriter like that of HTTP/1, which uses sendfile if it finds a
// file right inside a LimitedReader.
type kernel struct {
	*httptest.ResponseRecorder
	slices, files int
}

func (k *kernel) ReadFrom(r io.Reader) (int64, error) {
	k.slices++
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok {
			k.files++
		}
	}
	return io.Copy(k.ResponseRecorder, r)
}

// TestFilesReachTheKernel serves a file and a part of it, as getBlob does.
func TestFilesReachTheKernel(t *testing.T) {
	name := filepath.Join(t.TempDir(), "blob")
	const size = 5*sendSlice + 1
	if err := os.WriteFile(name, []byte(strings.Repeat("x", size)), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for span, slices := range map[string]int{"": 6, "bytes=10-": 5, "bytes=0-99": 1} {
		k := &kernel{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", "/", nil)
		if span != "" {
			r.Header.Set("Range", span)
		}
		w := newResponse(k, r, time.Minute, buffers.New(copySize))
		http.ServeContent(w, r, "", time.Time{}, file)
		if k.slices != slices || k.files != slices || w.err != nil || w.sent != int64(k.Body.Len()) {
			t.Errorf("%q: %d slices, %d of them a file; sent %d bytes of %d, %v", span, k.slices, k.files, w.sent, k.Body.Len(), w.err)
		}
	}
}

// TestContentThatEndsTooEarly cuts a file off while it is served.
func TestContentThatEndsTooEarly(t *testing.T) {
	w := newResponse(&kernel{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil), time.Minute, buffers.New(copySize))
	n, err := io.CopyN(w, strings.NewReader("0123456789"), 15)
	if n != 10 || err == nil || w.err == nil || !strings.Contains(w.err.Error(), "5 bytes too early") {
		t.Errorf("%d bytes, %v; remembered %v", n, err, w.err)
	}
}
