package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blob is the bytes that a seed makes, which nobody keeps.
type blob struct {
	digest digest.Digest
	size   int
	seed   uint64
}

func newBlob(seed uint64, size int) blob {
	b := blob{size: size, seed: seed}
	b.digest = digest.FromBytes(b.bytes())
	return b
}

func (b blob) bytes() []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], b.seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(b.size))
	p := make([]byte, b.size)
	rand.NewChaCha8(seed).Read(p) // never fails
	return p
}

// randomBlob has one byte to 30 MiB, and mostly few.
func randomBlob(rng *rand.Rand, small bool) blob {
	var size int
	switch p := rng.IntN(100); {
	case p < 5:
		size = 1
	case p < 45 || small:
		size = 1 + rng.IntN(64<<10)
	case p < 75:
		size = 64<<10 + rng.IntN(2<<20)
	case p < 93:
		size = 5<<20 + rng.IntN(7<<20)
	default:
		size = 12<<20 + rng.IntN(18<<20)
	}
	return newBlob(rng.Uint64(), size)
}

// image is a config, layers and the manifest that names them.
type image struct {
	repo     string
	tag      string
	blobs    []blob
	manifest []byte
	digest   digest.Digest
}

// newImage is an image of one to four layers, some of which others push too.
func newImage(rng *rand.Rand, repo, tag string, small bool, popular []blob) (image, error) {
	x := image{repo: repo, tag: tag, blobs: []blob{newBlob(rng.Uint64(), 200)}}
	for range 1 + rng.IntN(4) {
		layer := randomBlob(rng, small)
		if len(popular) > 0 && rng.IntN(4) == 0 {
			layer = popular[rng.IntN(len(popular))]
		}
		x.blobs = append(x.blobs, layer)
	}
	doc := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for i, b := range x.blobs {
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: b.digest, Size: int64(b.size)}
		if i > 0 {
			doc.Layers = append(doc.Layers, d)
			continue
		}
		d.MediaType = ocispec.MediaTypeImageConfig
		doc.Config = d
	}
	var err error
	x.manifest, err = json.Marshal(doc)
	x.digest = digest.FromBytes(x.manifest)
	return x, err
}

func (x image) String() string { return fmt.Sprintf("%s:%s", x.repo, x.tag) }
