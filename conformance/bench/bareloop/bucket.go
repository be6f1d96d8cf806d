package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// partSize is S3's smallest part.
const partSize = 5 << 20

// bucket keeps blobs as objects, whose keys are those of their uploads.
type bucket struct {
	core *minio.Core
	name string
	keys sync.Map // digest to key
}

func newBucket(endpoint string) (*bucket, error) {
	core, err := minio.NewCore(endpoint, &minio.Options{
		Creds:  credentials.NewEnvAWS(),
		Region: "us-east-1",
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 256, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10, DisableCompression: true,
		},
	})
	return &bucket{core: core, name: os.Getenv("BUCKET")}, err
}

var partBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (b *bucket) create(id string) (sink, error) {
	return &object{bucket: b, key: "bareloop/" + id, part: partBuffers.Get().(*bytes.Buffer)}, nil
}

func (b *bucket) open(digest string) (io.ReadCloser, int64, error) {
	key, ok := b.keys.Load(digest)
	if !ok {
		return nil, 0, os.ErrNotExist
	}
	content, info, _, err := b.core.GetObject(context.Background(), b.name, key.(string), minio.GetObjectOptions{})
	return content, info.Size, err
}

// object is one that arrives.
type object struct {
	bucket *bucket
	key    string
	upload string // empty before the first part
	parts  []minio.CompletePart
	part   *bytes.Buffer // up to partSize bytes
}

func (o *object) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		take := min(partSize-o.part.Len(), len(p))
		o.part.Write(p[:take])
		n, p = n+take, p[take:]
		if o.part.Len() == partSize {
			if err := o.send(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// send uploads a part, unsigned and without a checksum.
func (o *object) send() (err error) {
	ctx := context.Background()
	if o.upload == "" {
		if o.upload, err = o.bucket.core.NewMultipartUpload(ctx, o.bucket.name, o.key, minio.PutObjectOptions{}); err != nil {
			return err
		}
	}
	number := len(o.parts) + 1
	part, err := o.bucket.core.PutObjectPart(ctx, o.bucket.name, o.key, o.upload, number, bytes.NewReader(o.part.Bytes()),
		int64(o.part.Len()), minio.PutObjectPartOptions{DisableContentSha256: true})
	o.parts = append(o.parts, minio.CompletePart{PartNumber: number, ETag: part.ETag})
	o.part.Reset()
	return err
}

func (o *object) settle(digest string) error {
	ctx := context.Background()
	var err error
	if o.upload == "" {
		_, err = o.bucket.core.PutObject(ctx, o.bucket.name, o.key, bytes.NewReader(o.part.Bytes()), int64(o.part.Len()), "", "",
			minio.PutObjectOptions{DisableContentSha256: true})
	} else {
		if o.part.Len() > 0 {
			err = o.send()
		}
		if err == nil {
			_, err = o.bucket.core.CompleteMultipartUpload(ctx, o.bucket.name, o.key, o.upload, o.parts, minio.PutObjectOptions{})
		}
	}
	o.part.Reset()
	partBuffers.Put(o.part)
	o.bucket.keys.Store(digest, o.key)
	return err
}
