package hostile

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"berth/conformance/internal/server"
)

// Media types of images.
const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeTar      = "application/vnd.oci.image.layer.v1.tar"
	typeGzip     = typeTar + "+gzip"
	typeZstd     = typeTar + "+zstd"
)

// descriptor is what a manifest says of something else.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// push pushes an image of layers.
func (w *world) push(tag string, layers ...layer) {
	w.Helper()
	var m struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	m.SchemaVersion, m.MediaType = 2, typeManifest
	diffIDs := []string{}
	for _, l := range layers {
		m.Layers = append(m.Layers, w.pushFile(l.media, l.path))
		diffIDs = append(diffIDs, l.diffID)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	w.must(err)
	m.Config = w.pushBlob(typeConfig, digestOf(config), int64(len(config)), bytes.NewReader(config))
	b, err := json.Marshal(m)
	w.must(err)
	w.do("PUT", "/v2/"+repo+"/manifests/"+tag, typeManifest, bytes.NewReader(b), int64(len(b)), http.StatusCreated)
}

func (w *world) pushFile(media, path string) descriptor {
	w.Helper()
	f, err := os.Open(path)
	w.must(err)
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	w.must(err)
	_, err = f.Seek(0, io.SeekStart)
	w.must(err)
	return w.pushBlob(media, fmt.Sprintf("sha256:%x", h.Sum(nil)), n, f)
}

func (w *world) pushBlob(media, digest string, size int64, content io.Reader) descriptor {
	w.Helper()
	h := w.do("POST", "/v2/"+repo+"/blobs/uploads/", "", nil, 0, http.StatusAccepted)
	to, err := url.Parse(h.Get("Location"))
	w.must(err)
	q := to.Query()
	q.Set("digest", digest)
	to.RawQuery = q.Encode()
	w.do("PUT", to.RequestURI(), "application/octet-stream", content, size, http.StatusCreated)
	return descriptor{media, digest, size}
}

// do sends a request and returns the header of the answer.
func (w *world) do(method, path, media string, body io.Reader, size int64, want int) http.Header {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.Addr+path, body)
	w.must(err)
	req.ContentLength = size
	req.SetBasicAuth(server.User, server.Password)
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	w.must(err)
	if resp.StatusCode != want {
		w.Fatalf("%s %s: %s %s", method, path, resp.Status, answer)
	}
	return resp.Header
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
