package registrytest

import (
	"bytes"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

func testBlobIsReadAsPushed(x *suite) {
	for _, size := range []int{0, 1, 4096, 1_000_000} {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			b := NewBlob(uint64(size), size).In(alg)
			x.putBlob(repo, b)
			x.wantBlob(repo, b)
		}
	}
}

func testBlobSeeks(x *suite) {
	b := NewBlob(1, 100_000)
	x.putBlob(repo, b)
	open, err := x.OpenBlob(x.ctx, repo, b.Digest, registry.Span{})
	x.want("OpenBlob", err, nil)
	defer open.Content.Close()
	for _, offset := range []int64{70_000, 0, 99_999, 100_000} {
		_, err := open.Content.Seek(offset, io.SeekStart)
		x.want("Seek", err, nil)
		got, err := io.ReadAll(open.Content)
		x.want("reading on", err, nil)
		if !bytes.Equal(got, b.Bytes[offset:]) {
			x.Errorf("other bytes after seeking to %d", offset)
		}
	}
}

func testBlobIsUnknownElsewhere(x *suite) {
	b := NewBlob(1, 100)
	x.wantNoBlob(repo, b, registry.ErrNameUnknown)
	x.putBlob("other", NewBlob(2, 100))
	x.putBlob(repo, b)
	x.wantNoBlob("other", b, registry.ErrBlobUnknown)
	x.wantNoBlob(repo, b.In(digest.SHA512), registry.ErrBlobUnknown)
	x.wantNoBlob(repo+"/below", b, registry.ErrNameUnknown)
}

func testPutBlobRefuses(x *suite) {
	for i, size := range sizes {
		into := registry.Name(fmt.Sprint("r", i))
		b, other := NewBlob(1, size), NewBlob(2, size)
		put := func(what string, c registry.Chunk, d digest.Digest, kind error) {
			x.Helper()
			_, err := x.PutBlob(x.ctx, into, c, d)
			x.want(what, err, kind)
		}
		put("other bytes", other.Chunk(), b.Digest, registry.ErrDigestInvalid)
		put("other bytes, sha512", other.Chunk(), b.In(digest.SHA512).Digest, registry.ErrDigestInvalid)
		put("nothing", registry.Chunk{}, b.Digest, registry.ErrDigestInvalid)
		short := b.Chunk()
		short.Size++
		put("fewer bytes than announced", short, b.Digest, registry.ErrSizeInvalid)
		long := b.Chunk()
		long.Size--
		put("more bytes than announced", long, b.Digest, registry.ErrSizeInvalid)
		put("a body that breaks off", brokenOff(b, 0, 500), b.Digest, registry.ErrSizeInvalid)
		x.wantNoBlob(into, b, registry.ErrNameUnknown)
		x.wantNoBlob(into, other, registry.ErrNameUnknown)

		open := b.Chunk()
		open.Size = -1
		put("unknown size", open, b.Digest, nil)
		x.wantBlob(into, b)
		put("other bytes for a blob that is there", other.Chunk(), b.Digest, registry.ErrDigestInvalid)
		x.wantBlob(into, b)
	}
}

func testPutBlobAgain(x *suite) {
	for _, size := range sizes {
		b := NewBlob(1, size)
		for range 3 {
			x.putBlob(repo, b)
			x.putBlob("other", b)
			id := x.start(repo, b)
			_, err := x.AppendUpload(x.ctx, repo, id, b.Part(0, 500))
			x.want("AppendUpload", err, nil)
			_, err = x.FinishUpload(x.ctx, repo, id, b.Part(500, size), b.Digest)
			x.want("FinishUpload", err, nil)
		}
		x.wantBlob(repo, b)
		x.wantBlob("other", b)
	}
}
