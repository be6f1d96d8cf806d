package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"berth/storage/checkup"
)

// checkMultipart makes an object of two parts, and an upload that is given up.
func (x *examination) checkMultipart(ctx context.Context) {
	c := x.checks
	c.Do(ctx, "s3 multipart create", x.create, "s3 put")
	c.DoWithin(ctx, time.Minute, "s3 multipart part", x.part, "s3 multipart create")
	c.Do(ctx, "s3 multipart list", x.listParts, "s3 multipart create")
	c.DoWithin(ctx, time.Minute, "s3 multipart complete", x.complete, "s3 multipart part")
	c.Do(ctx, "s3 multipart abort", x.abort, "s3 multipart create")
}

func (x *examination) create(ctx context.Context) checkup.Finding {
	sums := !x.options.NoChecksum && !x.plain
	id, _, err := x.store.client.create(ctx, x.note("multipart"), sums)
	if err != nil && sums && !is(err, http.StatusForbidden, "") && !is(err, http.StatusNotImplemented, "") && meaning(cause(err)) == nil {
		if id, _, plain := x.store.client.create(ctx, x.folder+"multipart", false); plain == nil {
			x.upload = id
			return checkup.Bad("the server refuses multipart uploads with a CRC-32C: "+tell(err), "set checksum=none in --storage")
		}
	}
	if err != nil {
		return x.unsupported(x.refused("s3:PutObject", err), err)
	}
	x.upload = id
	return checkup.Fine("multipart uploads can be begun")
}

// cause is the error of minio-go in one of ours.
func cause(err error) error {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return answer
	}
	return err
}

// unsupported has other words for what most blobs need.
func (x *examination) unsupported(f checkup.Finding, err error) checkup.Finding {
	if is(err, http.StatusNotImplemented, "NotImplemented") || is(err, http.StatusMethodNotAllowed, "MethodNotAllowed") {
		f.Seen = "the server does not support multipart uploads: " + tell(err)
	}
	return f
}

// part sends the least that S3 takes, and a little more as the last part.
func (x *examination) part(ctx context.Context) checkup.Finding {
	b := make([]byte, 5<<20+1000)
	rand.Read(b)
	began := time.Now()
	for i, chunk := range [][]byte{b[:5<<20], b[5<<20:]} {
		o := minio.PutObjectPartOptions{DisableContentSha256: true, CustomHeader: make(http.Header)}
		p := minio.CompletePart{PartNumber: i + 1}
		if !x.options.NoChecksum && !x.plain {
			p.ChecksumCRC32C = encodeCRC(crc32.Checksum(chunk, castagnoli))
			o.CustomHeader.Set(headerCRC, p.ChecksumCRC32C)
		}
		ctx := (&call{kind: Part}).with(ctx)
		answer, err := x.store.client.PutObjectPart(ctx, x.store.client.bucket, x.folder+"multipart", x.upload, i+1, bytes.NewReader(chunk), int64(len(chunk)), o)
		if is(err, http.StatusRequestEntityTooLarge, "") {
			return checkup.Bad("a part of 5 MiB is too large: "+tell(err), "raise the limit on bodies of the proxy in front of the S3 server (client_max_body_size in nginx) to 64 MiB or more")
		}
		if err != nil {
			return x.unsupported(x.refused("s3:PutObject", err), err)
		}
		p.ETag = answer.ETag
		x.parts = append(x.parts, p)
	}
	took := time.Since(began)
	return checkup.Fine("5 MiB go up in %s, %.0f MiB/s", took.Round(time.Millisecond), 5/took.Seconds())
}

// listParts needs two more permissions.
func (x *examination) listParts(ctx context.Context) checkup.Finding {
	ctx = (&call{kind: List}).with(ctx)
	c := x.store.client
	if _, err := c.ListObjectParts(ctx, c.bucket, x.folder+"multipart", x.upload, 0, 10); err != nil {
		return x.refused("s3:ListMultipartUploadParts", err)
	}
	found := false
	for u, err := range x.store.uploads(ctx, x.folder) {
		if err != nil {
			return x.refused("s3:ListBucketMultipartUploads", err)
		}
		found = found || u.UploadID == x.upload
	}
	if !found {
		return checkup.Warn("the list of unfinished uploads does not have the one that was just begun",
			"uploads that a crash leaves behind may not be found: have a lifecycle rule of the bucket abort them (AbortIncompleteMultipartUpload)")
	}
	return checkup.Fine("unfinished uploads and their parts can be listed")
}

func (x *examination) complete(ctx context.Context) checkup.Finding {
	c := x.store.client
	_, err := c.CompleteMultipartUpload((&call{kind: Complete}).with(ctx), c.bucket, x.folder+"multipart", x.upload, x.parts, minio.PutObjectOptions{})
	if err != nil {
		return x.unsupported(x.refused("s3:PutObject", err), err)
	}
	x.mu.Lock()
	x.upload = ""
	x.mu.Unlock()
	info, err := c.StatObject((&call{kind: Head}).with(ctx), c.bucket, x.folder+"multipart", minio.StatObjectOptions{})
	if err == nil && info.Size != 5<<20+1000 {
		return checkup.Bad(fmt.Sprintf("an object of %d bytes in two parts is said to have %d", 5<<20+1000, info.Size), "use another S3 server")
	}
	return checkup.Fine("multipart uploads can be completed")
}

func (x *examination) abort(ctx context.Context) checkup.Finding {
	id := x.upload
	if id == "" {
		var err error
		if id, _, err = x.store.client.create(ctx, x.folder+"multipart", false); err != nil {
			return x.refused("s3:PutObject", err)
		}
		x.mu.Lock()
		x.upload = id
		x.mu.Unlock()
	}
	if err := x.store.client.abort(ctx, x.folder+"multipart", id); err != nil {
		return x.refused("s3:AbortMultipartUpload", err)
	}
	x.mu.Lock()
	x.upload = ""
	x.mu.Unlock()
	return checkup.Fine("multipart uploads can be aborted")
}
