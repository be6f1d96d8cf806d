//go:build goexperiment.jsonv2

package trivy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "crypto/sha512" // digests of blobs may be that
	"errors"
	"fmt"
	stdhash "hash"
	"io"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	v1types "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/registry"
)

// maxWindow limits what a layer may have the decoder of zstd remember, in bytes: the most
// that any level of compression asks for without --long=28 and above.
const maxWindow = 128 << 20

// layer is a layer of an image. What is in it is what the manifest and the configuration
// say only once it was read to its end; before that nothing of it may be believed.
type layer struct {
	image      *image
	descriptor ocispec.Descriptor
	diffID     v1.Hash
	verified   atomic.Bool
}

// Digest implements the layer of go-containerregistry, as the methods below do.
func (l *layer) Digest() (v1.Hash, error) { return hash(l.descriptor.Digest), nil }
func (l *layer) DiffID() (v1.Hash, error) { return l.diffID, nil }
func (l *layer) Size() (int64, error)     { return l.descriptor.Size, nil }
func (l *layer) MediaType() (v1types.MediaType, error) {
	return v1types.MediaType(l.descriptor.MediaType), nil
}

func (l *layer) Compressed() (io.ReadCloser, error) {
	return l.image.Open(l.image.ctx, l.descriptor.Digest)
}

// Uncompressed opens the layer. How it is compressed is told from its first bytes, since
// media types may lie and those of docker say gzip for what is not compressed.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	source, err := l.Compressed()
	if err != nil {
		return nil, l.fail(err)
	}
	compressed := bufio.NewReaderSize(source, 64<<10)
	r := &layerReader{
		layer: l, source: source, compressed: compressed,
		compressedSum: l.descriptor.Digest.Algorithm().Hash(), sum: sha256.New(),
	}
	compressed.Reset(io.TeeReader(source, r.compressedSum))
	if err := r.decompress(); err != nil {
		source.Close()
		return nil, l.fail(err)
	}
	r.entries = countEntries(&l.image.entries, l.image.limits.MaxEntries)
	return r, nil
}

func (l *layer) fail(err error) error {
	return l.image.fail(fmt.Errorf("layer %s: %w", l.descriptor.Digest, err))
}

// layerReader reads a layer uncompressed, and holds it against digests and limits.
type layerReader struct {
	layer         *layer
	source        io.ReadCloser
	compressed    *bufio.Reader
	compressedSum stdhash.Hash
	content       io.Reader
	close         func()
	sum           stdhash.Hash
	entries       *entryCounter
	err           error // that all further reads answer
}

func (r *layerReader) decompress() error {
	r.close = func() {}
	magic, err := r.compressed.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r.compressed)
		if err != nil {
			return fmt.Errorf("it is not gzip though it begins like that: %w", err)
		}
		r.content = z
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r.compressed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("it is not zstd though it begins like that: %w", err)
		}
		r.content, r.close = z, z.Close
	default:
		r.content = r.compressed
	}
	return nil
}

func (r *layerReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.layer.fail(err)
	}
	r.err = err
	return n, err
}

func (r *layerReader) read(p []byte) (int, error) {
	i := r.layer.image
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.content.Read(p)
	r.sum.Write(p[:n])
	if i.bytes.Add(int64(n)) > i.limits.MaxBytes {
		return 0, fmt.Errorf("the layers of the image unpack to more than %s", registry.FormatSize(i.limits.MaxBytes))
	}
	if _, err := r.entries.Write(p[:n]); err != nil {
		return 0, err
	}
	switch {
	case errors.Is(err, io.EOF):
		if err := r.verify(); err != nil {
			return n, err
		}
		return n, io.EOF
	case err != nil:
		return n, fmt.Errorf("it cannot be unpacked: %w", err)
	}
	return n, nil
}

// verify compares all that was read with what it should have been.
func (r *layerReader) verify() error {
	if _, err := io.Copy(io.Discard, r.compressed); err != nil { // what lies behind the end of the archive
		return err
	}
	want := r.layer.descriptor.Digest
	if got := digest.NewDigest(want.Algorithm(), r.compressedSum); got != want {
		return fmt.Errorf("what was read has the digest %s", got)
	}
	if got := fmt.Sprintf("sha256:%x", r.sum.Sum(nil)); got != r.layer.diffID.String() {
		return fmt.Errorf("it unpacks to %s, and the configuration of the image says %s", got, r.layer.diffID)
	}
	r.layer.verified.Store(true)
	return nil
}

func (r *layerReader) Close() error {
	r.entries.Close()
	r.close()
	return r.source.Close()
}
