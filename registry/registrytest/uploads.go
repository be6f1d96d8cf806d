package registrytest

import (
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

func testUploadInChunks(x *suite) {
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		b := NewBlob(1, 700_000).In(alg)
		before := time.Now().Add(-time.Second)
		u, err := x.StartUpload(x.ctx, repo, alg)
		x.want("StartUpload", err, nil)
		if u.Offset != 0 || u.Repo != repo || u.Algorithm != alg || u.StartedAt.Before(before) || time.Until(u.StartedAt) > time.Second {
			x.Errorf("a new upload is %+v", u)
		}
		x.wantOffset(repo, u.ID, 0)
		at := 0
		for _, to := range []int{1, 1, 5000, 300_000, 600_000} {
			u, err := x.AppendUpload(x.ctx, repo, u.ID, b.Part(at, to))
			x.want("AppendUpload", err, nil)
			if u.Offset != int64(to) {
				x.Fatalf("the upload stands at %d after bytes up to %d", u.Offset, to)
			}
			x.wantOffset(repo, u.ID, to)
			at = to
		}
		got, err := x.FinishUpload(x.ctx, repo, u.ID, b.Part(at, len(b.Bytes)), b.Digest)
		x.want("FinishUpload", err, nil)
		x.wantDescriptor("FinishUpload", got, b.Descriptor)
		x.wantBlob(repo, b)
	}
}

func testUploadMakesNoRepository(x *suite) {
	b := NewBlob(1, 1000)
	id := x.start(repo, b)
	_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, 500))
	x.want("AppendUpload", err, nil)
	x.wantNoBlob(repo, b, registry.ErrNameUnknown)
	names, err := x.Repositories(x.ctx, "", 10)
	x.want("Repositories", err, nil)
	if len(names) != 0 {
		x.Errorf("repositories before the first blob is whole: %q", names)
	}
}

func testUploadWithoutOffset(x *suite) {
	b := NewBlob(1, 1000)
	id := x.start(repo, b)
	for _, part := range []registry.Chunk{b.Part(0, 10), b.Part(10, 400), b.Part(400, 1000)} {
		part.Offset, part.Size = -1, -1
		_, err := x.AppendUpload(x.ctx, repo, id, part)
		x.want("AppendUpload", err, nil)
	}
	_, err := x.FinishUpload(x.ctx, repo, id, registry.Chunk{Offset: -1, Size: 0}, b.Digest)
	x.want("FinishUpload", err, nil)
	x.wantBlob(repo, b)
}

func testUploadChecksOffset(x *suite) {
	b := NewBlob(1, 1000)
	id := x.start(repo, b)
	wrong := func(part registry.Chunk, stands int) {
		x.Helper()
		u, err := x.AppendUpload(x.ctx, repo, id, part)
		x.want("AppendUpload elsewhere", err, registry.ErrRangeInvalid)
		if u.Offset != int64(stands) {
			x.Errorf("AppendUpload says that the upload stands at %d, want %d", u.Offset, stands)
		}
		_, err = x.FinishUpload(x.ctx, repo, id, part, b.Digest)
		x.want("FinishUpload elsewhere", err, registry.ErrRangeInvalid)
		x.wantOffset(repo, id, stands)
	}
	wrong(b.Part(1, 1000), 0)
	_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, 500))
	x.want("AppendUpload", err, nil)
	wrong(b.Part(0, 500), 500)
	wrong(b.Part(499, 1000), 500)
	wrong(b.Part(501, 1000), 500)
	_, err = x.FinishUpload(x.ctx, repo, id, b.Part(500, 1000), b.Digest)
	x.want("FinishUpload", err, nil)
	x.wantBlob(repo, b)
}

func testUploadChecksSize(x *suite) {
	for _, size := range sizes {
		b := NewBlob(1, size)
		finish := func(id registry.UploadID, c registry.Chunk) error {
			_, err := x.FinishUpload(x.ctx, repo, id, c, b.Digest)
			return err
		}
		send := func(id registry.UploadID, c registry.Chunk) error {
			u, err := x.AppendUpload(x.ctx, repo, id, c)
			x.wantOffset(repo, id, int(u.Offset))
			return err
		}
		for _, lie := range []func(registry.UploadID, registry.Chunk) error{finish, send} {
			id := x.start(repo, b)
			short := b.Part(0, 500)
			short.Size = 600
			x.want("fewer bytes than announced", lie(id, short), registry.ErrSizeInvalid)
			x.wantOffset(repo, id, 500) // what arrived is kept
			long := b.Part(500, 800)
			long.Size = 100
			x.want("more bytes than announced", lie(id, long), registry.ErrSizeInvalid)
			x.wantOffset(repo, id, 600) // what is too much is not
			x.want("FinishUpload", finish(id, b.Part(600, size)), nil)
			x.wantBlob(repo, b)
		}
		id := x.start(repo, b)
		long := b.Chunk()
		long.Size--
		x.want("more bytes than announced for the whole", finish(id, long), registry.ErrSizeInvalid)
		x.wantOffset(repo, id, size-1)
		x.want("FinishUpload", finish(id, b.Part(size-1, size)), nil)
	}
}

func testUploadDiscardsOtherBytes(x *suite) {
	for _, size := range sizes {
		b, other := NewBlob(1, size), NewBlob(2, size)
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			for _, before := range []int{0, 500} {
				id := x.start(repo, b)
				if before > 0 {
					_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, before))
					x.want("AppendUpload", err, nil)
				}
				_, err := x.FinishUpload(x.ctx, repo, id, other.Part(before, size), b.In(alg).Digest)
				x.want("FinishUpload of other bytes", err, registry.ErrDigestInvalid)
				x.wantEnded(id, b)
				x.wantNoBlob(repo, b.In(alg), registry.ErrNameUnknown)
			}
		}
	}
}

func testUploadByOtherAlgorithm(x *suite) {
	for _, size := range sizes {
		b := NewBlob(1, size)
		for start, end := range map[digest.Algorithm]digest.Algorithm{digest.SHA256: digest.SHA512, digest.SHA512: digest.SHA256} {
			for _, before := range []int{0, 400} {
				id := x.start(repo, b.In(start))
				if before > 0 {
					_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, before))
					x.want("AppendUpload", err, nil)
				}
				got, err := x.FinishUpload(x.ctx, repo, id, b.Part(before, size), b.In(end).Digest)
				x.want("FinishUpload with another algorithm", err, nil)
				x.wantDescriptor("FinishUpload", got, b.In(end).Descriptor)
				x.wantBlob(repo, b.In(end))
				x.want("DeleteBlob", x.DeleteBlob(x.ctx, repo, b.In(end).Digest), nil)
			}
		}
	}
}

func testUploadIsUnknown(x *suite) {
	b := NewBlob(1, 1000)
	id := x.start(repo, b)
	x.start("other", b)
	for _, u := range []struct {
		repo registry.Name
		id   registry.UploadID
	}{
		{repo, ""},
		{repo, "made-up"},
		{repo, "3f8b0b60-0000-4000-8000-000000000000"},
		{repo, id + "0"},
		{repo, id[1:]},
		{"other", id},
		{repo + "/below", id},
	} {
		_, err := x.Upload(x.ctx, u.repo, u.id)
		x.want("Upload", err, registry.ErrUploadUnknown)
		_, err = x.AppendUpload(x.ctx, u.repo, u.id, b.Chunk())
		x.want("AppendUpload", err, registry.ErrUploadUnknown)
		_, err = x.FinishUpload(x.ctx, u.repo, u.id, b.Chunk(), b.Digest)
		x.want("FinishUpload", err, registry.ErrUploadUnknown)
		x.want("CancelUpload", x.CancelUpload(x.ctx, u.repo, u.id), registry.ErrUploadUnknown)
	}
	x.wantOffset(repo, id, 0)
}

func testUploadEndsOnce(x *suite) {
	for _, size := range sizes {
		b := NewBlob(1, size)
		id := x.start(repo, b)
		_, err := x.FinishUpload(x.ctx, repo, id, b.Chunk(), b.Digest)
		x.want("FinishUpload", err, nil)
		x.wantEnded(id, b)
		x.wantBlob(repo, b)
	}
}

func testUploadCancelled(x *suite) {
	b := NewBlob(1, 1000)
	for _, size := range []int{0, 500} {
		id := x.start(repo, b)
		_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, size))
		x.want("AppendUpload", err, nil)
		x.want("CancelUpload", x.CancelUpload(x.ctx, repo, id), nil)
		x.wantEnded(id, b)
	}
	id := x.start(repo, b)
	x.want("CancelUpload at once", x.CancelUpload(x.ctx, repo, id), nil)
	x.wantEnded(id, b)
}

// wantEnded checks that nothing can be done with an upload any more.
func (x *suite) wantEnded(id registry.UploadID, b Blob) {
	x.Helper()
	_, err := x.Upload(x.ctx, repo, id)
	x.want("Upload", err, registry.ErrUploadUnknown)
	_, err = x.AppendUpload(x.ctx, repo, id, b.Chunk())
	x.want("AppendUpload", err, registry.ErrUploadUnknown)
	_, err = x.FinishUpload(x.ctx, repo, id, registry.Chunk{Offset: -1}, b.Digest)
	x.want("FinishUpload", err, registry.ErrUploadUnknown)
	x.want("CancelUpload", x.CancelUpload(x.ctx, repo, id), registry.ErrUploadUnknown)
}

// testUploadHasOneWriter holds a chunk open and tries others. Registries are free to
// let either of two writers win, as long as one does.
func testUploadHasOneWriter(x *suite) {
	b := NewBlob(1, 1000)
	for name, other := range map[string]func(registry.UploadID) error{
		"AppendUpload": func(id registry.UploadID) error {
			_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, 700))
			return err
		},
		"FinishUpload": func(id registry.UploadID) error {
			_, err := x.FinishUpload(x.ctx, repo, id, b.Chunk(), b.Digest)
			return err
		},
		"CancelUpload": func(id registry.UploadID) error { return x.CancelUpload(x.ctx, repo, id) },
	} {
		id := x.start(repo, b)
		slow := newSlowBody(b.Bytes)
		first := make(chan error)
		go func() {
			_, err := x.AppendUpload(x.ctx, repo, id, registry.Chunk{Offset: 0, Size: 1000, Body: slow})
			first <- err
		}()
		<-slow.started
		err := other(id)
		close(slow.goOn)
		if err == nil {
			if err := <-first; !errors.Is(err, registry.ErrRangeInvalid) && !errors.Is(err, registry.ErrUploadUnknown) {
				x.Fatalf("the chunk that lost to %s: %v", name, err)
			}
			continue
		}
		x.want(name+" while a chunk is written", err, registry.ErrRangeInvalid)
		x.want("the chunk that came first", <-first, nil)
		x.wantOffset(repo, id, 1000)
		_, err = x.FinishUpload(x.ctx, repo, id, registry.Chunk{Offset: 1000}, b.Digest)
		x.want("FinishUpload", err, nil)
		x.wantBlob(repo, b)
	}
}

func testUploadsAreApart(x *suite) {
	a, b := NewBlob(1, 1000), NewBlob(2, 1000)
	first, second := x.start(repo, a), x.start(repo, b)
	if first == second {
		x.Fatalf("two uploads are called %s", first)
	}
	for at := 0; at < 1000; at += 250 {
		_, err := x.AppendUpload(x.ctx, repo, first, a.Part(at, at+250))
		x.want("AppendUpload", err, nil)
		_, err = x.AppendUpload(x.ctx, repo, second, b.Part(at, at+250))
		x.want("AppendUpload", err, nil)
	}
	_, err := x.FinishUpload(x.ctx, repo, second, registry.Chunk{Offset: 1000}, b.Digest)
	x.want("FinishUpload", err, nil)
	x.want("CancelUpload", x.CancelUpload(x.ctx, repo, first), nil)
	x.wantBlob(repo, b)
	x.wantNoBlob(repo, a, registry.ErrBlobUnknown)
}
