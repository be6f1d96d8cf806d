package main

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's names for an image and an index.
const (
	dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// manifest is a manifest and what it names.
type manifest struct {
	digest       digest.Digest
	mediaType    string
	artifactType string // as a list of referrers shows it
	bytes        []byte
	blobs        []digest.Digest // config and layers
	children     []*manifest     // of an index
	subject      digest.Digest
}

func (m *manifest) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.bytes))}
}

// newImage is an image or, if it has an artifact type, an artifact. Its layers must be in the library.
func newImage(alg digest.Algorithm, mediaType, artifactType string, config content, layers []content, subject *manifest) (*manifest, error) {
	doc := ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    mediaType,
		ArtifactType: artifactType,
		Config:       ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: config.digest, Size: int64(config.size)},
		Layers:       []ocispec.Descriptor{},
	}
	m := &manifest{mediaType: mediaType, artifactType: artifactType, blobs: []digest.Digest{config.digest}}
	if artifactType == "" {
		m.artifactType = ocispec.MediaTypeImageConfig
	}
	for _, l := range layers {
		doc.Layers = append(doc.Layers, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageLayer, Digest: l.digest, Size: int64(l.size),
		})
		m.blobs = append(m.blobs, l.digest)
	}
	if subject != nil {
		d := subject.descriptor()
		doc.Subject = &d
		m.subject = subject.digest
	}
	return m, m.encode(alg, doc)
}

// newIndex is an index of images.
func newIndex(alg digest.Algorithm, mediaType string, children []*manifest, seed uint64) (*manifest, error) {
	doc := ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   mediaType,
		Manifests:   []ocispec.Descriptor{},
		Annotations: map[string]string{"seed": fmt.Sprint(seed)},
	}
	for _, c := range children {
		doc.Manifests = append(doc.Manifests, c.descriptor())
	}
	m := &manifest{mediaType: mediaType, children: children}
	return m, m.encode(alg, doc)
}

func (m *manifest) encode(alg digest.Algorithm, doc any) (err error) {
	m.bytes, err = json.Marshal(doc)
	m.digest = alg.FromBytes(m.bytes)
	return err
}
