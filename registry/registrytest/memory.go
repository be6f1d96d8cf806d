package registrytest

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Memory is a registry in maps. It keeps nothing for longer than it lives and does
// not mind how slow it is.
type Memory struct {
	// Closed says that pushing creates no repositories.
	Closed bool

	mu           sync.Mutex // held by every method, but not while a body is read
	repositories map[registry.Name]*repository
	uploads      map[registry.UploadID]*upload
	known        map[digest.Digest][]byte // blobs until garbage collection, also those that no repository sees
	deletions    int
}

type repository struct {
	blobs     map[digest.Digest][]byte
	manifests map[digest.Digest]manifest
	tags      map[registry.Tag]digest.Digest
	deleted   map[digest.Digest]deleted // until garbage collection
}

type manifest struct {
	registry.Manifest
	content registry.Content

	blobs     map[digest.Digest]bool // what it names that was taken for a blob
	manifests map[digest.Digest]bool // what it names that was taken for a manifest
}

var _ registry.Registry = (*Memory)(nil)

// NewMemory returns an empty registry.
func NewMemory() *Memory {
	return &Memory{
		repositories: map[registry.Name]*repository{},
		uploads:      map[registry.UploadID]*upload{},
		known:        map[digest.Digest][]byte{},
	}
}

// find returns a repository that is there.
func (m *Memory) find(name registry.Name) (*repository, error) {
	if r := m.repositories[name]; r != nil {
		return r, nil
	}
	return nil, registry.ErrNameUnknown
}

// mayPush reports whether something may be pushed to a repository.
func (m *Memory) mayPush(name registry.Name) error {
	if m.Closed && m.repositories[name] == nil {
		return registry.ErrNameUnknown
	}
	return nil
}

// ensure returns the repository that something is put into.
func (m *Memory) ensure(name registry.Name) *repository {
	r := m.repositories[name]
	if r == nil {
		r = &repository{
			blobs:     map[digest.Digest][]byte{},
			manifests: map[digest.Digest]manifest{},
			tags:      map[registry.Tag]digest.Digest{},
			deleted:   map[digest.Digest]deleted{},
		}
		m.repositories[name] = r
	}
	return r
}

func describeBlob(d digest.Digest, b []byte) registry.Descriptor {
	return registry.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: int64(len(b))}
}

// StatBlob implements [registry.Reader].
func (m *Memory) StatBlob(ctx context.Context, repo registry.Name, d digest.Digest) (registry.Descriptor, error) {
	b, err := m.OpenBlob(ctx, repo, d, registry.Span{})
	return b.Descriptor, err
}

// BlobURL implements [registry.Reader].
func (m *Memory) BlobURL(context.Context, registry.Name, digest.Digest) (string, error) {
	return "", registry.ErrUnsupported
}

// OpenBlob implements [registry.Reader].
func (m *Memory) OpenBlob(_ context.Context, repo registry.Name, d digest.Digest, _ registry.Span) (registry.Blob, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return registry.Blob{}, err
	}
	b, ok := r.blobs[d]
	if !ok {
		return registry.Blob{}, registry.ErrBlobUnknown
	}
	return registry.Blob{Descriptor: describeBlob(d, b), Content: reader{bytes.NewReader(b)}}, nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// PutBlob implements [registry.Writer].
func (m *Memory) PutBlob(_ context.Context, repo registry.Name, c registry.Chunk, d digest.Digest) (registry.Descriptor, error) {
	m.mu.Lock()
	err := m.mayPush(repo)
	m.mu.Unlock()
	if err != nil {
		return registry.Descriptor{}, err
	}
	b, err := read(c)
	if err != nil {
		return registry.Descriptor{}, err
	}
	if d.Algorithm().FromBytes(b) != d {
		return registry.Descriptor{}, registry.ErrDigestInvalid
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ensure(repo).blobs[d], m.known[d] = b, b
	return describeBlob(d, b), nil
}

// read returns what arrives of a chunk, but no more than was announced.
func read(c registry.Chunk) ([]byte, error) {
	if c.Body == nil {
		return nil, nil
	}
	b, err := io.ReadAll(c.Body)
	if c.Size >= 0 && int64(len(b)) > c.Size {
		return b[:c.Size], registry.ErrSizeInvalid
	}
	if err != nil || c.Size >= 0 && int64(len(b)) < c.Size {
		return b, registry.ErrSizeInvalid
	}
	return b, nil
}

// MountBlob implements [registry.Writer].
func (m *Memory) MountBlob(_ context.Context, repo, from registry.Name, d digest.Digest) (registry.Descriptor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, r := range m.repositories {
		b, ok := r.blobs[d]
		if !ok || from != "" && name != from {
			continue
		}
		if err := m.mayPush(repo); err != nil {
			return registry.Descriptor{}, err
		}
		m.ensure(repo).blobs[d] = b
		return describeBlob(d, b), nil
	}
	return registry.Descriptor{}, registry.ErrBlobUnknown
}

// DeleteBlob implements [registry.Deleter].
func (m *Memory) DeleteBlob(_ context.Context, repo registry.Name, d digest.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return err
	}
	if _, ok := r.blobs[d]; !ok {
		return registry.ErrBlobUnknown
	}
	for _, other := range r.manifests {
		if other.blobs[d] {
			return registry.ErrBlobReferenced
		}
	}
	delete(r.blobs, d)
	return nil
}

// CollectGarbage removes the blobs that no manifest of their repository names, and says how
// many different ones are left.
func (m *Memory) CollectGarbage() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	left := map[digest.Digest]bool{}
	for _, r := range m.repositories {
		named := map[digest.Digest]bool{}
		for _, m := range r.manifests {
			maps.Copy(named, m.blobs)
		}
		maps.DeleteFunc(r.blobs, func(d digest.Digest, _ []byte) bool { return !named[d] })
		for d := range r.blobs {
			left[d] = true
		}
		clear(r.deleted)
	}
	maps.DeleteFunc(m.known, func(d digest.Digest, _ []byte) bool { return !left[d] })
	return len(left)
}

// Repositories implements [registry.Lister].
func (m *Memory) Repositories(_ context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return page(maps.Keys(m.repositories), last, limit), nil
}

// BlobRepositories implements [registry.Lister].
func (m *Memory) BlobRepositories(_ context.Context, d digest.Digest, last registry.Name, limit int) ([]registry.Name, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return page(func(yield func(registry.Name) bool) {
		for name, r := range m.repositories {
			if _, ok := r.blobs[d]; ok && !yield(name) {
				return
			}
		}
	}, last, limit), nil
}

// page is the part of a list that comes after last.
func page[K cmp.Ordered](all iter.Seq[K], last K, limit int) []K {
	sorted := slices.Sorted(all)
	sorted = slices.DeleteFunc(sorted, func(k K) bool { return k <= last })
	return sorted[:min(limit, len(sorted))]
}
