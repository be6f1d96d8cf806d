package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

const layer = 64 << 20

// BenchmarkPush is what a push costs this side: it hashes a layer and hands it on in the
// pieces in which net/http reads it. Bare does the same with nothing but minio-go.
func BenchmarkPush(b *testing.B) {
	piece := content(32 << 10)
	push := func(b *testing.B, w io.Writer) {
		h := sha256.New()
		for range layer / len(piece) {
			h.Write(piece)
			if _, err := w.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		h.Sum(nil)
	}
	b.Run("Store", func(b *testing.B) {
		s := openStore(b, s3test.Start(b), nil)
		measure(b, func() {
			key := blob.NewKey()
			w, err := s.Create(b.Context(), key)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			push(b, w)
			if err := w.Commit(b.Context()); err != nil {
				b.Fatal(err)
			}
			s.Delete(b.Context(), key)
		})
	})
	b.Run("Bare", func(b *testing.B) {
		server := s3test.Start(b)
		core, err := minio.NewCore(server.Endpoint, &minio.Options{
			Creds: credentials.NewStaticV4(s3test.AccessKey, s3test.SecretKey, ""), Region: s3test.Region,
		})
		if err != nil {
			b.Fatal(err)
		}
		bare := bareWriter{Core: core, bucket: server.Bucket(b), buffer: make([]byte, 0, 5<<20)}
		measure(b, func() {
			bare.begin(b)
			push(b, &bare)
			bare.end(b)
		})
	})
}

// BenchmarkPull is the other way.
func BenchmarkPull(b *testing.B) {
	s := openStore(b, s3test.Start(b), nil)
	key := blob.NewKey()
	if err := writeAll(b, s, key, content(layer)); err != nil {
		b.Fatal(err)
	}
	measure(b, func() {
		r, err := s.Open(b.Context(), key, blob.Span{})
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 32<<10)); n != layer || err != nil {
			b.Fatal(n, err)
		}
	})
}

// BenchmarkSmall is a config.
func BenchmarkSmall(b *testing.B) {
	s := openStore(b, s3test.Start(b), nil)
	config := content(4 << 10)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := writeAll(b, s, blob.NewKey(), config); err != nil {
				b.Error(err)
			}
		}
	})
}

// measure reports the processor time of this process, the server's apart.
func measure(b *testing.B, do func()) {
	b.SetBytes(layer)
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		do()
	}
	used := processorTime(b) - before
	b.ReportMetric(used.Seconds()/float64(b.N)/layer*(1<<30), "cpu-s/GiB")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type bareWriter struct {
	*minio.Core
	bucket, name, upload string
	parts                []minio.CompletePart
	buffer               []byte
}

func (w *bareWriter) begin(b *testing.B) {
	var err error
	w.name, w.parts, w.buffer = string(blob.NewKey()), nil, w.buffer[:0]
	if w.upload, err = w.NewMultipartUpload(context.Background(), w.bucket, w.name, minio.PutObjectOptions{}); err != nil {
		b.Fatal(err)
	}
}

func (w *bareWriter) Write(p []byte) (int, error) {
	w.buffer = append(w.buffer, p...)
	if len(w.buffer) < cap(w.buffer) {
		return len(p), nil
	}
	return len(p), w.flush()
}

func (w *bareWriter) flush() error {
	n := len(w.parts) + 1
	p, err := w.PutObjectPart(context.Background(), w.bucket, w.name, w.upload, n,
		bytes.NewReader(w.buffer), int64(len(w.buffer)), minio.PutObjectPartOptions{DisableContentSha256: true})
	w.parts = append(w.parts, minio.CompletePart{PartNumber: n, ETag: p.ETag})
	w.buffer = w.buffer[:0]
	return err
}

func (w *bareWriter) end(b *testing.B) {
	err := w.flush()
	if err == nil {
		_, err = w.CompleteMultipartUpload(context.Background(), w.bucket, w.name, w.upload, w.parts, minio.PutObjectOptions{})
	}
	if err == nil {
		err = w.RemoveObject(context.Background(), w.bucket, w.name, minio.RemoveObjectOptions{})
	}
	if err != nil {
		b.Fatal(err)
	}
}
