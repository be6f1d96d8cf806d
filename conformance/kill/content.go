package main

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"

	"github.com/opencontainers/go-digest"
)

// content is the bytes of a blob. Most are made from a seed whenever they are needed, so that a run which pushes
// gigabytes keeps none of them.
type content struct {
	digest  digest.Digest
	size    int
	seed    uint64
	literal []byte // instead of a seed
}

// newContent makes size bytes from a seed.
func newContent(seed uint64, size int, alg digest.Algorithm) content {
	c := content{size: size, seed: seed}
	c.digest = alg.FromBytes(c.bytes())
	return c
}

func literalContent(b []byte, alg digest.Algorithm) content {
	return content{digest: alg.FromBytes(b), size: len(b), literal: b}
}

// bytes is the content itself.
func (c content) bytes() []byte {
	if c.literal != nil {
		return c.literal
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], c.seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(c.size))
	b := make([]byte, c.size)
	rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

// randomContent is new content of a likely size: most blobs are small, a few have some megabytes.
// With parts, some are so large that a bucket gets them in several parts.
func randomContent(rng *rand.Rand, parts bool) content {
	var size int
	switch p := rng.IntN(100); {
	case parts && p < 8:
		size = 5<<20 + rng.IntN(9<<20)
	case p < 60:
		size = rng.IntN(1 << 10)
	case p < 90:
		size = rng.IntN(64 << 10)
	case p < 98:
		size = rng.IntN(512 << 10)
	default:
		size = 1<<20 + rng.IntN(3<<20)
	}
	return newContent(rng.Uint64(), size, randomAlgorithm(rng))
}

func randomAlgorithm(rng *rand.Rand) digest.Algorithm {
	if rng.IntN(10) == 0 {
		return digest.SHA512
	}
	return digest.SHA256
}

// library is all content and all manifests there ever were.
type library struct {
	mu        sync.Mutex
	contents  map[digest.Digest]content
	manifests map[digest.Digest]*manifest
}

func newLibrary() *library {
	return &library{contents: map[digest.Digest]content{}, manifests: map[digest.Digest]*manifest{}}
}

func (l *library) add(c content) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contents[c.digest] = c
}

func (l *library) content(d digest.Digest) content {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.contents[d]
}

func (l *library) addManifest(m *manifest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.manifests[m.digest] = m
}

// manifest is nil if there never was such a manifest.
func (l *library) manifest(d digest.Digest) *manifest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.manifests[d]
}
