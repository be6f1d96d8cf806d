package registrytest

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

type upload struct {
	repo    registry.Name
	id      registry.UploadID
	alg     digest.Algorithm
	started time.Time
	bytes   []byte
	note    string
	busy    bool // a request is writing to it
}

func (u *upload) status() registry.Upload {
	return registry.Upload{ID: u.id, Repo: u.repo, Algorithm: u.alg, Offset: int64(len(u.bytes)), StartedAt: u.started, Note: u.note}
}

// StartUpload implements [registry.Writer].
func (m *Memory) StartUpload(_ context.Context, repo registry.Name, alg digest.Algorithm) (registry.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayPush(repo); err != nil {
		return registry.Upload{}, err
	}
	u := &upload{repo: repo, id: registry.UploadID(rand.Text()), alg: alg, started: time.Now()}
	m.uploads[u.id] = u
	return u.status(), nil
}

// Upload implements [registry.Writer].
func (m *Memory) Upload(_ context.Context, repo registry.Name, id registry.UploadID) (registry.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.upload(repo, id)
	if err != nil {
		return registry.Upload{}, err
	}
	return u.status(), nil
}

func (m *Memory) upload(repo registry.Name, id registry.UploadID) (*upload, error) {
	u := m.uploads[id]
	if u == nil || u.repo != repo {
		return nil, registry.ErrUploadUnknown
	}
	return u, nil
}

// AppendUpload implements [registry.Writer].
func (m *Memory) AppendUpload(_ context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk) (registry.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.receive(repo, id, c)
	if u == nil {
		return registry.Upload{}, err
	}
	return u.status(), err
}

// FinishUpload implements [registry.Writer].
func (m *Memory) FinishUpload(_ context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk, d digest.Digest) (registry.Descriptor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.receive(repo, id, c)
	if err != nil {
		return registry.Descriptor{}, err
	}
	delete(m.uploads, id)
	if d.Algorithm().FromBytes(u.bytes) != d {
		return registry.Descriptor{}, registry.ErrDigestInvalid
	}
	m.ensure(repo).blobs[d], m.known[d] = u.bytes, u.bytes
	return describeBlob(d, u.bytes), nil
}

// receive reads a chunk and adds it to an upload. The lock is held before and after,
// but not while the body is read.
func (m *Memory) receive(repo registry.Name, id registry.UploadID, c registry.Chunk) (*upload, error) {
	u, err := m.upload(repo, id)
	if err != nil {
		return nil, err
	}
	if u.busy || c.Offset >= 0 && c.Offset != int64(len(u.bytes)) {
		return u, registry.ErrRangeInvalid
	}
	u.busy = true
	m.mu.Unlock()
	b, err := read(c)
	m.mu.Lock()
	u.busy = false
	u.bytes = append(u.bytes, b...)
	if err == nil && c.Note != "" {
		u.note = c.Note
	}
	return u, err
}

// CancelUpload implements [registry.Writer].
func (m *Memory) CancelUpload(_ context.Context, repo registry.Name, id registry.UploadID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.upload(repo, id)
	if err != nil {
		return err
	}
	if u.busy {
		return registry.ErrRangeInvalid
	}
	delete(m.uploads, id)
	return nil
}
