package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"sync/atomic"
)

// blob is what is pushed as one: bytes that all blobs of its kind share, and a tail of its own.
type blob struct {
	digest string
	size   int64
	shared []byte
	tail   []byte
}

// open reads the blob from its beginning.
func (b blob) open() io.Reader {
	return io.MultiReader(bytes.NewReader(b.shared), bytes.NewReader(b.tail))
}

// A mill makes blobs of one size that nobody has seen before and that do not compress. The bytes that they share are
// made and hashed once, so that a blob of any size costs a microsecond: the client must not compete with the registry.
type mill struct {
	shared []byte
	hash   hash.Cloner
	serial atomic.Uint64
	run    uint64 // differs from run to run, because a peer may remember the last one
}

// tailSize is how much of a blob is its own.
const tailSize = 16

func newMill(size int) *mill {
	m := &mill{shared: make([]byte, max(size-tailSize, 0)), run: rand.Uint64()}
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(m.shared) // never fails
	h := sha256.New()
	h.Write(m.shared)
	m.hash = h.(hash.Cloner)
	return m
}

func (m *mill) size() int { return len(m.shared) + tailSize }

// blob makes the next one.
func (m *mill) blob() blob {
	tail := make([]byte, 0, tailSize)
	for _, v := range []uint64{m.run, m.serial.Add(1)} {
		for range 8 {
			tail = append(tail, byte(v))
			v >>= 8
		}
	}
	h, err := m.hash.Clone()
	if err != nil {
		panic(err) // SHA-256 of the standard library can be cloned
	}
	h.Write(tail)
	return blob{
		digest: "sha256:" + hex.EncodeToString(h.Sum(nil)),
		size:   int64(len(m.shared) + len(tail)),
		shared: m.shared,
		tail:   tail,
	}
}

// bytesBlob is a blob of exactly b.
func bytesBlob(b []byte) blob {
	return blob{digest: digestOf(b), size: int64(len(b)), tail: b}
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// image is a config, layers and the manifest that names them.
type image struct {
	tag      string
	config   blob
	layers   []blob
	manifest []byte
}

// descriptor is what a manifest says about something else.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// manifest is an image manifest, or an artifact if it says what it is about.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func (b blob) describe(media string) descriptor { return descriptor{media, b.digest, b.size} }

// encode is the manifest's bytes.
func (m manifest) encode() []byte {
	m.SchemaVersion, m.MediaType = 2, typeManifest
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return b
}

// newImage makes an image of so many layers from the mill.
func newImage(tag string, m *mill, layers int) image {
	im := image{tag: tag}
	var named []descriptor
	for range layers {
		b := m.blob()
		im.layers = append(im.layers, b)
		named = append(named, b.describe(typeLayer))
	}
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, named[0].Digest)
	im.config = bytesBlob([]byte(config))
	im.manifest = manifest{Config: im.config.describe(typeConfig), Layers: named}.encode()
	return im
}

// bytes is how much of the image travels, the manifest apart.
func (im image) bytes() int64 {
	n := im.config.size
	for _, l := range im.layers {
		n += l.size
	}
	return n
}

// push uploads the image: layers, config, manifest by tag.
func (im image) push(c *client, repo string, patch bool) error {
	for _, b := range append([]blob{im.config}, im.layers...) {
		if err := c.pushBlob(repo, b, patch); err != nil {
			return err
		}
	}
	_, err := c.pushManifest(repo, im.tag, im.manifest)
	return err
}

// pull downloads the image: manifest by tag, config, layers. With verify every byte is hashed, which a measured pull
// leaves out, because it is the client's work.
func (im image) pull(c *client, repo string, verify bool) error {
	url := "/v2/" + repo + "/manifests/" + im.tag
	var got bytes.Buffer
	if _, _, err := c.do(request{method: "GET", repo: repo, url: url, media: typeManifest, want: 200}, &got); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), im.manifest) {
		return fmt.Errorf("GET %s: not the manifest that was pushed", url)
	}
	for _, b := range append([]blob{im.config}, im.layers...) {
		if err := b.pull(c, repo, verify); err != nil {
			return err
		}
	}
	return nil
}

// pull downloads the blob.
func (b blob) pull(c *client, repo string, verify bool) error {
	url := "/v2/" + repo + "/blobs/" + b.digest
	h := sha256.New()
	var keep io.Writer
	if verify {
		keep = h
	}
	_, n, err := c.do(request{method: "GET", repo: repo, url: url, want: 200}, keep)
	switch {
	case err != nil:
		return err
	case n != b.size:
		return fmt.Errorf("GET %s: %d bytes of %d", url, n, b.size)
	case verify && "sha256:"+hex.EncodeToString(h.Sum(nil)) != b.digest:
		return fmt.Errorf("GET %s: other bytes than were pushed", url)
	}
	return nil
}
