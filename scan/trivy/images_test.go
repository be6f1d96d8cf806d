//go:build goexperiment.jsonv2

package trivy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/scan"
)

// file is an entry of a layer.
type file struct {
	name    string
	content string
	header  tar.Header // type, mode and so on, if it is not just a file
}

// archive is the tar of a layer.
func archive(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := f.header
		h.Name = f.name
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(f.content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
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

func zstandard(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

// blob is a layer as it lies in a registry.
type blob struct {
	mediaType string
	content   []byte
	diffID    digest.Digest
}

func gzipLayer(t testing.TB, files ...file) blob { return gzipBlob(t, archive(t, files...)) }

func gzipBlob(t testing.TB, tar []byte) blob {
	return blob{ocispec.MediaTypeImageLayerGzip, gzipped(t, tar), digest.FromBytes(tar)}
}

// testImage is an image in memory that knows which of its blobs were opened.
type testImage struct {
	scan.Image
	blobs  map[digest.Digest][]byte
	layers []digest.Digest

	mu     sync.Mutex
	opened []digest.Digest // layers only
}

func newTestImage(t testing.TB, layers ...blob) *testImage {
	t.Helper()
	i := &testImage{blobs: map[digest.Digest][]byte{}}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers"}}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for n, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
		config.History = append(config.History, ocispec.History{CreatedBy: fmt.Sprintf("COPY %d /", n)})
		m.Layers = append(m.Layers, i.add(l.mediaType, l.content))
		i.layers = append(i.layers, m.Layers[n].Digest)
	}
	content, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	m.Config = i.add(ocispec.MediaTypeImageConfig, content)
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	d := i.add(m.MediaType, manifest)
	i.Image = scan.Image{Repository: "team/app", Digest: d.Digest, MediaType: m.MediaType, Manifest: manifest, Open: i.open}
	return i
}

func (i *testImage) add(mediaType string, content []byte) ocispec.Descriptor {
	d := digest.FromBytes(content)
	i.blobs[d] = content
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

func (i *testImage) open(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
	content, ok := i.blobs[d]
	if !ok {
		return nil, fmt.Errorf("there is no blob %s", d)
	}
	if slices.Contains(i.layers, d) {
		i.mu.Lock()
		i.opened = append(i.opened, d)
		i.mu.Unlock()
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// layout writes the image as a folder that the trivy command reads.
func (i *testImage) layout(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, content []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{{MediaType: i.MediaType, Digest: i.Digest, Size: int64(len(i.Manifest))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write("index.json", index)
	for d, content := range i.blobs {
		write("blobs/"+strings.Replace(d.String(), ":", "/", 1), content)
	}
	return dir
}

// memory is a [scan.LayerCache].
type memory struct {
	mu     sync.Mutex
	layers map[string][]byte
}

func newMemory() *memory { return &memory{layers: map[string][]byte{}} }

func (m *memory) Missing(_ context.Context, keys []string) (missing []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789-:") != "" || len(key) > 100 {
			return nil, fmt.Errorf("%q is no key", key)
		}
		if _, ok := m.layers[key]; !ok {
			missing = append(missing, key)
		}
	}
	return missing, nil
}

func (m *memory) Layer(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.layers[key]
	if !ok {
		return nil, fmt.Errorf("there is no layer %s", key)
	}
	return content, nil
}

func (m *memory) PutLayer(_ context.Context, key string, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.layers[key] = bytes.Clone(content)
	return nil
}
