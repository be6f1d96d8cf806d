package registrytest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/registry"
)

// Blob is a blob to push.
type Blob struct {
	registry.Descriptor
	Bytes []byte
}

// NewBlob makes a blob of bytes that look random and are the same for each seed.
func NewBlob(seed uint64, size int) Blob {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, size)
	rand.NewChaCha8(key).Read(b)
	return blobOf(ocispec.MediaTypeImageLayerGzip, digest.SHA256, b)
}

func blobOf(mediaType string, alg digest.Algorithm, b []byte) Blob {
	return Blob{registry.Descriptor{MediaType: mediaType, Digest: alg.FromBytes(b), Size: int64(len(b))}, b}
}

// In is the same blob by another digest.
func (b Blob) In(alg digest.Algorithm) Blob { return blobOf(b.MediaType, alg, b.Bytes) }

// Chunk is all of the blob.
func (b Blob) Chunk() registry.Chunk { return b.Part(0, len(b.Bytes)) }

// Part is a stretch of the blob, to be sent to where it belongs.
func (b Blob) Part(from, to int) registry.Chunk {
	return registry.Chunk{Offset: int64(from), Size: int64(to - from), Body: bytes.NewReader(b.Bytes[from:to])}
}

// Image is a manifest with what has to be pushed before it.
type Image struct {
	registry.Manifest
	Blobs    []Blob
	Children []Image // of an index
}

// Descriptor names the image, in an index or as a subject.
func (i Image) Descriptor() registry.Descriptor {
	return registry.Descriptor{MediaType: i.MediaType, Digest: i.Digest, Size: int64(len(i.Bytes))}
}

// Reference names the image by digest.
func (i Image) Reference() registry.Reference { return registry.Reference{Digest: i.Digest} }

// Recipe says what an image is made of. The same recipe always makes the same image,
// and recipes with different seeds have no bytes in common.
type Recipe struct {
	Seed         uint64
	Layers       int                  // negative means none, zero means two
	Docker       bool                 // Docker's media types instead of OCI's
	Algorithm    digest.Algorithm     // of all digests; empty means sha256
	ArtifactType string               // not for Docker
	Subject      *registry.Descriptor // not for Docker
	Annotations  map[string]string    // not for Docker
}

// Image is an image manifest with its config and layers.
func (r Recipe) Image() Image {
	m := ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    r.choose(registry.MediaTypeImageManifest, registry.MediaTypeDockerManifest),
		ArtifactType: r.ArtifactType,
		Subject:      r.Subject,
		Annotations:  r.Annotations,
		Layers:       []registry.Descriptor{},
	}
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","author":"seed %d"}`, r.Seed)
	configType := r.choose(ocispec.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json")
	if r.ArtifactType != "" {
		configType = "application/vnd.example.config+json" // with that of an image it could be run
	}
	blobs := []Blob{blobOf(configType, r.algorithm(), config)}
	layers := r.Layers
	if layers == 0 {
		layers = 2
	}
	for i := range layers {
		size := 1000 + i%2*40_000 // registries may treat small blobs in their own way
		layer := NewBlob(r.Seed<<8+uint64(i), size+i).In(r.algorithm())
		layer.MediaType = r.choose(layer.MediaType, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		blobs = append(blobs, layer)
		m.Layers = append(m.Layers, layer.Descriptor)
	}
	m.Config = blobs[0].Descriptor
	image := r.encode(m.MediaType, m)
	image.Blobs = blobs
	return image
}

// With is an image of layers that others may have too.
func (r Recipe) With(layers ...Blob) Image {
	r.Layers = -1
	config := r.Image().Blobs[0]
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: registry.MediaTypeImageManifest,
		ArtifactType: r.ArtifactType, Subject: r.Subject, Annotations: r.Annotations, Config: config.Descriptor,
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, l.Descriptor)
	}
	image := r.encode(m.MediaType, m)
	image.Blobs = append([]Blob{config}, layers...)
	return image
}

// Index is an image index, or Docker's manifest list, of children.
func (r Recipe) Index(children ...Image) Image {
	m := ocispec.Index{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    r.choose(registry.MediaTypeImageIndex, registry.MediaTypeDockerList),
		ArtifactType: r.ArtifactType,
		Subject:      r.Subject,
		Annotations:  r.Annotations,
		Manifests:    []registry.Descriptor{},
	}
	for _, c := range children {
		m.Manifests = append(m.Manifests, c.Descriptor())
	}
	image := r.encode(m.MediaType, m)
	image.Children = children
	return image
}

// Cache is what BuildKit exports a cache as: an index that lists blobs.
func (r Recipe) Cache() Image {
	image := r.Image()
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: registry.MediaTypeImageIndex}
	for _, b := range image.Blobs {
		index.Manifests = append(index.Manifests, b.Descriptor)
	}
	cache := r.encode(index.MediaType, index)
	cache.Blobs = image.Blobs
	return cache
}

// encode makes an image that needs nothing of any manifest.
func (r Recipe) encode(mediaType string, manifest any) Image {
	b, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		panic(err)
	}
	return Image{Manifest: registry.Manifest{MediaType: mediaType, Digest: r.algorithm().FromBytes(b), Bytes: b}}
}

func (r Recipe) choose(oci, docker string) string {
	if r.Docker {
		return docker
	}
	return oci
}

func (r Recipe) algorithm() digest.Algorithm {
	if r.Algorithm == "" {
		return digest.SHA256
	}
	return r.Algorithm
}
