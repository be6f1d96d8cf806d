package engine_test

import (
	"bytes"
	"io"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"berth/registry"
)

func (m *machine) startUpload(t *rapid.T) {
	u := modelUpload{repo: pick(t, "repo", modelRepos), blob: pick(t, "blob", modelBlobs)}
	alg := pick(t, "algorithm", []digest.Algorithm{digest.SHA256, digest.SHA512})
	for r, id := range map[registry.Registry]*registry.UploadID{m.engine: &u.engine, m.model: &u.model} {
		started, err := r.StartUpload(t.Context(), u.repo, alg)
		if err != nil || started.Offset != 0 || started.Algorithm != alg || started.Repo != u.repo {
			t.Fatalf("StartUpload: %+v, %v", started, err)
		}
		*id = started.ID
	}
	m.uploads = append(m.uploads, u)
}

// upload picks an upload, which may be over, and a repository that is mostly its own.
func (m *machine) upload(t *rapid.T) (u *modelUpload, repo registry.Name) {
	if len(m.uploads) == 0 {
		t.Skip("no upload")
	}
	u = &m.uploads[rapid.IntRange(0, len(m.uploads)-1).Draw(t, "upload")]
	if rapid.IntRange(0, 9).Draw(t, "elsewhere") == 9 {
		return u, pick(t, "repo", modelRepos)
	}
	return u, u.repo
}

// id is what an upload is called in a registry.
func (m *machine) id(u *modelUpload, r registry.Registry) registry.UploadID {
	if r == m.engine {
		return u.engine
	}
	return u.model
}

// chunk draws a chunk of an upload's blob. Most of the time it fits.
func (u *modelUpload) chunk(t *rapid.T, rest bool) func() registry.Chunk {
	from := min(int(u.offset), len(u.blob.Bytes))
	to := len(u.blob.Bytes)
	if !rest {
		to = rapid.IntRange(from, to).Draw(t, "to")
	}
	part := u.blob.Bytes[from:to]
	c := registry.Chunk{Offset: u.offset, Size: int64(len(part))}
	broken := false
	switch rapid.IntRange(0, 11).Draw(t, "fault") {
	case 7:
		c.Offset = rapid.Int64Range(0, 200_000).Draw(t, "offset")
	case 8:
		c.Size = rapid.Int64Range(0, 200_000).Draw(t, "size")
	case 9:
		broken = true
		part = part[:len(part)/2]
	case 10:
		c.Offset = -1
	case 11:
		c.Size = -1
	}
	return func() registry.Chunk {
		c.Body = bytes.NewReader(part)
		if broken && c.Size > 0 {
			c.Body = io.MultiReader(c.Body, iotest.ErrReader(io.ErrUnexpectedEOF))
		}
		return c
	}
}

func (m *machine) appendUpload(t *rapid.T) {
	u, repo := m.upload(t)
	chunk := u.chunk(t, false)
	both(t, m, "AppendUpload", func(r registry.Registry) (int64, error) {
		appended, err := r.AppendUpload(t.Context(), repo, m.id(u, r), chunk())
		return appended.Offset, err
	})
	m.look(t, u, repo)
}

func (m *machine) finishUpload(t *rapid.T) {
	u, repo := m.upload(t)
	chunk := u.chunk(t, true)
	d := u.blob.Digest
	if rapid.IntRange(0, 4).Draw(t, "other digest") == 4 {
		d = pick(t, "digest", modelBlobs).Digest
	}
	both(t, m, "FinishUpload", func(r registry.Registry) (registry.Descriptor, error) {
		return r.FinishUpload(t.Context(), repo, m.id(u, r), chunk(), d)
	})
	m.look(t, u, repo)
}

func (m *machine) cancelUpload(t *rapid.T) {
	u, repo := m.upload(t)
	bothErr(t, m, "CancelUpload", func(r registry.Registry) error { return r.CancelUpload(t.Context(), repo, m.id(u, r)) })
	m.look(t, u, repo)
}

// look asks how far an upload has come.
func (m *machine) look(t *rapid.T, u *modelUpload, repo registry.Name) {
	u.offset = both(t, m, "Upload", func(r registry.Registry) (int64, error) {
		found, err := r.Upload(t.Context(), u.repo, m.id(u, r))
		return found.Offset, err
	})
	bothErr(t, m, "Upload", func(r registry.Registry) error {
		_, err := r.Upload(t.Context(), repo, m.id(u, r))
		return err
	})
}
