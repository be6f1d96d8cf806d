package registrytest

import (
	"bytes"
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
	open, err := x.OpenBlob(x.ctx, repo, b.Digest)
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
	b, other := NewBlob(1, 1000), NewBlob(2, 1000)
	put := func(what string, c registry.Chunk, d digest.Digest, kind error) {
		_, err := x.PutBlob(x.ctx, repo, c, d)
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
	x.wantNoBlob(repo, b, registry.ErrNameUnknown)
	x.wantNoBlob(repo, other, registry.ErrNameUnknown)

	open := b.Chunk()
	open.Size = -1
	put("unknown size", open, b.Digest, nil)
	x.wantBlob(repo, b)
	put("other bytes for a blob that is there", other.Chunk(), b.Digest, registry.ErrDigestInvalid)
	x.wantBlob(repo, b)
}

func testPutBlobAgain(x *suite) {
	b := NewBlob(1, 1000)
	for range 3 {
		x.putBlob(repo, b)
		x.putBlob("other", b)
	}
	x.wantBlob(repo, b)
	x.wantBlob("other", b)
}
