package s3

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"berth/storage/blob"
)

// client makes the requests of this package through minio-go, with a method for each kind
// of request. Its errors are those of package blob, unless a method says otherwise.
type client struct {
	*minio.Core
	transport    *transport
	bucket       string
	sse          encrypt.ServerSide
	storageClass string
	noChecksum   bool
}

func newClient(o Options) (*client, error) {
	endpoint, secure, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	roots, err := trusted(o.CA)
	if err != nil {
		return nil, err
	}
	lookup := map[string]minio.BucketLookupType{
		"on": minio.BucketLookupPath, "off": minio.BucketLookupDNS,
	}[o.PathStyle] // zero is auto
	t := newTransport(o, roots)
	core, err := minio.NewCore(endpoint, &minio.Options{
		Creds:        o.credentials(),
		Secure:       secure,
		Transport:    t,
		Region:       o.Region,
		BucketLookup: lookup,
		MaxRetries:   maxTries,
	})
	if err != nil {
		return nil, fmt.Errorf("blob/s3: %w", err)
	}
	c := &client{Core: core, transport: t, bucket: o.Bucket, storageClass: o.StorageClass, noChecksum: o.NoChecksum}
	switch o.SSE {
	case "s3":
		c.sse = encrypt.NewSSE()
	case "kms":
		if c.sse, err = encrypt.NewSSEKMS(o.KMSKey, nil); err != nil {
			return nil, fmt.Errorf("blob/s3: %w", err)
		}
	}
	return c, nil
}

// credentials are those of the options or, in their order, of what surrounds the process.
func (o *Options) credentials() *credentials.Credentials {
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, "")
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.EnvMinio{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{},
	})
}

// trusted is the certificates of the system and those of a file; nil means just the former.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("blob/s3: ca: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("blob/s3: ca: %s has no certificate", file)
	}
	return roots, nil
}

// What S3 calls them.
const (
	headerCRC       = "X-Amz-Checksum-Crc32c"
	headerAlgorithm = "X-Amz-Checksum-Algorithm"
	crc32c          = "CRC32C"
)

func encodeCRC(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// putOptions are those of a whole object and of a multipart upload.
func (c *client) putOptions() minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ServerSideEncryption: c.sse,
		StorageClass:         c.storageClass,
		DisableContentSha256: true, // the payload is not signed: TLS and the checksum guard it
		UserMetadata:         make(map[string]string),
	}
}

// put stores a whole object; fresh asks S3 not to replace one. The error is that of
// minio-go.
func (c *client) put(ctx context.Context, name string, b *body, crc uint32, fresh bool) error {
	o := c.putOptions()
	if !c.noChecksum {
		o.UserMetadata[headerCRC] = encodeCRC(crc)
	}
	if fresh {
		o.SetMatchETagExcept("*")
	}
	ctx = (&call{kind: Put, body: b}).with(ctx)
	_, err := c.PutObject(ctx, c.bucket, name, b, b.size, "", "", o)
	return err
}

// create begins a multipart upload. After a retry there may be two.
func (c *client) create(ctx context.Context, name string, sums bool) (id string, retried bool, err error) {
	o := c.putOptions()
	if sums {
		o.UserMetadata[headerAlgorithm] = crc32c
	}
	call := &call{kind: Begin}
	id, err = c.NewMultipartUpload(call.with(ctx), c.bucket, name, o)
	if err != nil {
		return "", call.retried(), fault(ctx, "begin an upload", err)
	}
	return id, call.retried(), nil
}

// part uploads part n of u and returns its ETag.
func (c *client) part(ctx context.Context, u *upload, n int, b *body, crc uint32) (etag string, err error) {
	o := minio.PutObjectPartOptions{DisableContentSha256: true, CustomHeader: make(http.Header)}
	if u.sums {
		o.CustomHeader.Set(headerCRC, encodeCRC(crc))
	}
	ctx = (&call{kind: Part, body: b}).with(ctx)
	p, err := c.PutObjectPart(ctx, c.bucket, u.name, u.id, n, b, b.size, o)
	if err != nil {
		return "", lost(fault(ctx, "upload a part", err))
	}
	if p.ETag == "" {
		return "", fault(ctx, "upload a part", errNoETag)
	}
	return p.ETag, nil
}

// complete makes an object of the parts. The error is that of minio-go.
func (c *client) complete(ctx context.Context, u *upload) (retried bool, err error) {
	parts := make([]minio.CompletePart, len(u.parts))
	for i, p := range u.parts {
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: p.etag}
		if u.sums {
			parts[i].ChecksumCRC32C = encodeCRC(p.crc)
		}
	}
	call := &call{kind: Complete}
	_, err = c.CompleteMultipartUpload(call.with(ctx), c.bucket, u.name, u.id, parts, minio.PutObjectOptions{})
	return call.retried(), err
}

// abort ends an upload. One that is not there is no error.
func (c *client) abort(ctx context.Context, name, id string) error {
	ctx = (&call{kind: Abort}).with(ctx)
	err := c.AbortMultipartUpload(ctx, c.bucket, name, id)
	if err == nil || meaning(err) == blob.ErrLost {
		return nil
	}
	return fault(ctx, "abort an upload", err)
}

// head asks for the size and the checksums of an object. The answer to a HEAD has no
// body, so it does not tell a missing object from a missing bucket, or from keys that
// nobody knows. That none is there is only believed when a GET says so.
func (c *client) head(ctx context.Context, name string) (minio.ObjectInfo, error) {
	stat := func() (minio.ObjectInfo, error) {
		return c.StatObject((&call{kind: Head}).with(ctx), c.bucket, name, minio.StatObjectOptions{Checksum: !c.noChecksum})
	}
	info, err := stat()
	if is(err, http.StatusNotFound, "") || is(err, http.StatusBadRequest, "") {
		body, _, _, why := c.GetObject((&call{kind: Get}).with(ctx), c.bucket, name, minio.GetObjectOptions{})
		if why != nil {
			return minio.ObjectInfo{}, fault(ctx, "look up "+name, why)
		}
		body.Close()
		info, err = stat()
	}
	if err != nil {
		return minio.ObjectInfo{}, fault(ctx, "look up "+name, err)
	}
	return info, nil
}

func (c *client) remove(ctx context.Context, name string) error {
	ctx = (&call{kind: Remove}).with(ctx)
	err := c.RemoveObject(ctx, c.bucket, name, minio.RemoveObjectOptions{})
	if err == nil || meaning(err) == blob.ErrNotExist {
		return nil
	}
	return fault(ctx, "delete "+name, err)
}
