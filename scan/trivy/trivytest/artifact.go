//go:build goexperiment.jsonv2

package trivytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/scan"
)

// Artifact is a database as it lies in a registry.
type Artifact struct {
	Manifest []byte // an image manifest of OCI that names the other two
	Config   []byte
	Layer    []byte // tar.gz
}

var layerTypes = map[scan.DatabaseKind]string{
	scan.Vulnerabilities: "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip",
	scan.Java:            "application/vnd.aquasec.trivy.javadb.layer.v1.tar+gzip",
}

// Pack makes the artifact of the folder of a database, as Trivy distributes it.
func Pack(t testing.TB, kind scan.DatabaseKind, dir string) Artifact {
	t.Helper()
	a := Artifact{Config: []byte("{}"), Layer: archive(t, dir)}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    descriptor("application/vnd.aquasec.trivy.config.v1+json", a.Config),
		Layers:    []ocispec.Descriptor{descriptor(layerTypes[kind], a.Layer)},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Manifest = manifest
	return a
}

func descriptor(mediaType string, content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// archive packs the files of a folder.
func archive(t testing.TB, dir string) []byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: e.Name(), Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg})
		}
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(fmt.Errorf("packing %s: %w", e.Name(), err))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
