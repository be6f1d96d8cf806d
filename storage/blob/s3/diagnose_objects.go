package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
	"berth/storage/checkup"
)

// sample is what the small objects of an examination consist of.
var sample = []byte("berth doctor was here")

// checkObjects tries what is done with an object of one request.
func (x *examination) checkObjects(ctx context.Context) {
	c := x.checks
	c.Do(ctx, "s3 put", x.put, "s3 bucket")
	c.Do(ctx, "s3 checksum", x.checksum, "s3 put")
	c.Do(ctx, "s3 if-none-match", x.ifNoneMatch, "s3 put")
	c.Do(ctx, "s3 head", x.head, "s3 put")
	c.Do(ctx, "s3 get", x.get, "s3 put")
	c.Do(ctx, "s3 range", x.getRange, "s3 put", "s3 get")
	c.Do(ctx, "s3 presigned", x.presigned, "s3 put", "s3 get")
	c.Do(ctx, "s3 latency", x.latency, "s3 put")
}

// note remembers an object that has to be removed, before it is made.
func (x *examination) note(name string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	name = x.folder + name
	x.made = append(x.made, name)
	return name
}

func (x *examination) putSample(ctx context.Context, name string, fresh bool) error {
	o := x.store.client.putOptions()
	if !x.options.NoChecksum && !x.plain {
		o.UserMetadata[headerCRC] = encodeCRC(crc32.Checksum(sample, castagnoli))
	}
	if fresh {
		o.SetMatchETagExcept("*")
	}
	ctx = (&call{kind: Put}).with(ctx)
	_, err := x.store.client.PutObject(ctx, x.store.client.bucket, name, bytes.NewReader(sample), int64(len(sample)), "", "", o)
	return err
}

// put tries without a checksum what the server refuses with one.
func (x *examination) put(ctx context.Context) checkup.Finding {
	name := x.note("sample")
	err := x.putSample(ctx, name, false)
	if err != nil && !x.options.NoChecksum && !is(err, http.StatusForbidden, "") && meaning(err) == nil {
		x.plain = true
		if x.putSample(ctx, name, false) == nil {
			return checkup.Fine("objects can be put")
		}
	}
	if err != nil {
		return x.refused("s3:PutObject", err)
	}
	return checkup.Fine("objects can be put under %s", x.folder)
}

func (x *examination) checksum(context.Context) checkup.Finding {
	switch {
	case x.plain:
		return checkup.Bad("the server refuses objects with a CRC-32C", "set checksum=none in --storage")
	case x.options.NoChecksum:
		return checkup.Fine("none is sent, as --storage says")
	}
	return checkup.Fine("the server takes CRC-32C")
}

func (x *examination) ifNoneMatch(ctx context.Context) checkup.Finding {
	const advice = "nothing is lost by it in daily use; a server that does prevents that a request which was held up replaces an object later"
	switch err := x.putSample(ctx, x.folder+"sample", true); {
	case err == nil:
		return checkup.Warn("the server ignores If-None-Match and replaces an object that is there", advice)
	case is(err, http.StatusPreconditionFailed, "PreconditionFailed"):
		return checkup.Fine("an object that is there is not replaced")
	case is(err, http.StatusNotImplemented, "NotImplemented"):
		return checkup.Warn("the server does not know If-None-Match; objects are put without it", advice)
	default:
		return x.refused("s3:PutObject", err)
	}
}

func (x *examination) head(ctx context.Context) checkup.Finding {
	ctx = (&call{kind: Head}).with(ctx)
	info, err := x.store.client.StatObject(ctx, x.store.client.bucket, x.folder+"sample", minio.StatObjectOptions{Checksum: !x.options.NoChecksum && !x.plain})
	if err != nil {
		return x.refused("s3:GetObject", err)
	}
	if info.Size != int64(len(sample)) {
		return checkup.Bad(fmt.Sprintf("an object of %d bytes is said to have %d", len(sample), info.Size), "see whether a proxy in front of the server changes answers")
	}
	return checkup.Fine("objects can be looked up")
}

func (x *examination) read(ctx context.Context, o minio.GetObjectOptions) ([]byte, http.Header, error) {
	ctx = (&call{kind: Get}).with(ctx)
	body, _, header, err := x.store.client.GetObject(ctx, x.store.client.bucket, x.folder+"sample", o)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, 1<<20))
	return b, header, err
}

func (x *examination) get(ctx context.Context) checkup.Finding {
	b, _, err := x.read(ctx, minio.GetObjectOptions{})
	if err != nil {
		return x.refused("s3:GetObject", err)
	}
	if !bytes.Equal(b, sample) {
		return checkup.Bad("an object comes back with other bytes", "see whether a proxy in front of the server changes answers")
	}
	return checkup.Fine("objects come back as they were put")
}

func (x *examination) getRange(ctx context.Context) checkup.Finding {
	var o minio.GetObjectOptions
	if err := o.SetRange(6, 11); err != nil {
		return checkup.Bad(err.Error(), "")
	}
	b, header, err := x.read(ctx, o)
	if err != nil {
		return x.refused("s3:GetObject", err)
	}
	if want := fmt.Sprintf("bytes 6-11/%d", len(sample)); header.Get("Content-Range") != want || !bytes.Equal(b, sample[6:12]) {
		return checkup.Bad("the server ignores Range, or a proxy in front of it removes it", "have the proxy pass on Range and Content-Range: interrupted pulls cannot go on without them")
	}
	return checkup.Fine("parts of objects can be read")
}

// presigned reads as a client that was redirected does: without our keys, and with the
// certificates that every machine trusts.
func (x *examination) presigned(ctx context.Context) checkup.Finding {
	u, err := x.store.client.PresignedGetObject((&call{kind: Other}).with(ctx), x.store.client.bucket, x.folder+"sample", time.Minute, nil)
	if err != nil {
		return x.refused("s3:GetObject", err)
	}
	f := x.fetch(ctx, u)
	switch {
	case !x.Redirect && f.Severity != checkup.OK:
		return checkup.Fine("would not work, and is not needed as --redirect is off: %s", f.Seen)
	case x.Redirect && f.Severity == checkup.OK && checkup.Loopback(u.Hostname()):
		return checkup.Warn(fmt.Sprintf("clients are sent to %s, which is this machine to itself", u.Host), "use an endpoint that clients can reach, or leave --redirect off")
	case x.Redirect && f.Severity == checkup.OK && !strings.Contains(u.Hostname(), "."):
		return checkup.Warn(fmt.Sprintf("clients are sent to %s, a name that may be known only here", u.Host), "use an endpoint that clients can reach, or leave --redirect off")
	}
	return f
}

func (x *examination) fetch(ctx context.Context, u *url.URL) checkup.Finding {
	const trust = "have clients trust its authority, or leave --redirect off"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return checkup.Bad(err.Error(), "")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		seen, advice := checkup.Explain(u.Host, err, trust)
		return checkup.Bad(seen, advice)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	switch {
	case err != nil:
		seen, advice := checkup.Explain(u.Host, err, trust)
		return checkup.Bad(seen, advice)
	case answer.StatusCode != http.StatusOK:
		return checkup.Bad(fmt.Sprintf("a signed URL at %s is answered %s", u.Host, answer.Status), "leave --redirect off, or see whether a proxy in front of the server removes the query or changes the Host header")
	case !bytes.Equal(b, sample):
		return checkup.Bad("a signed URL is answered with other bytes", "leave --redirect off, or see what a proxy in front of the server does with answers")
	}
	return checkup.Fine("a signed URL at %s is answered with the object", u.Host)
}

// slow is how long a small request may take before it is worth a word.
const slow = 250 * time.Millisecond

func (x *examination) latency(ctx context.Context) checkup.Finding {
	n := 0
	took, err := checkup.Median(9, func() error {
		n++
		return x.putSample(ctx, x.note(fmt.Sprintf("latency%d", n)), false)
	})
	if err != nil {
		return x.refused("s3:PutObject", err)
	}
	seen := fmt.Sprintf("a small object is put in %s (the median of 9)", took.Round(100*time.Microsecond))
	if took > slow {
		return checkup.Warn(seen, "every push waits for several such requests: run berth in the region of the bucket")
	}
	return checkup.Fine("%s", seen)
}

// checkBucket looks at what costs space in the long run.
func (x *examination) checkBucket(ctx context.Context) {
	x.checks.DoWithin(ctx, 30*time.Second, "s3 unfinished uploads", x.unfinished, "s3 bucket")
	x.checks.Do(ctx, "s3 versioning", x.versioning, "s3 bucket")
}

// manyUploads is how many unfinished ones are looked at.
const manyUploads = 10_000

func (x *examination) unfinished(ctx context.Context) checkup.Finding {
	seen, old := 0, 0
	oldest := time.Now()
	for u, err := range x.store.uploads(ctx, x.store.prefix) {
		if err != nil {
			return x.refused("s3:ListBucketMultipartUploads", err)
		}
		if seen++; seen > manyUploads {
			break
		}
		if time.Since(u.Initiated) > x.UploadExpiry {
			old++
		}
		if u.Initiated.Before(oldest) {
			oldest = u.Initiated
		}
	}
	if old == 0 {
		return checkup.Fine("%d, none older than --upload-expiry", seen)
	}
	days := int(x.UploadExpiry/(24*time.Hour)) + 2
	return checkup.Warn(
		fmt.Sprintf("%d of %d are older than --upload-expiry (%s), the oldest of %s; they take up space", old, seen, x.UploadExpiry, oldest.UTC().Format(time.DateOnly)),
		fmt.Sprintf(`add a lifecycle rule: aws s3api put-bucket-lifecycle-configuration --bucket %s --lifecycle-configuration '{"Rules":[{"ID":"berth","Status":"Enabled","Filter":{"Prefix":%q},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":%d}}]}'`,
			x.store.client.bucket, x.store.prefix, days))
}

func (x *examination) versioning(ctx context.Context) checkup.Finding {
	config, err := x.store.client.GetBucketVersioning((&call{kind: Other}).with(ctx), x.store.client.bucket)
	switch {
	case err != nil:
		return checkup.Fine("not told (%s)", minio.ToErrorResponse(err).Code)
	case config.Enabled():
		return checkup.Warn("on: what is deleted goes on taking up space as an old version",
			"suspend it, or add a lifecycle rule NoncurrentVersionExpiration with the days for which you want to be able to undelete")
	}
	return checkup.Fine("off")
}

// remove removes all that was made.
func (x *examination) remove(ctx context.Context) checkup.Finding {
	x.mu.Lock()
	made := x.made
	x.mu.Unlock()
	for _, name := range made {
		if err := x.store.client.remove(ctx, name); err != nil {
			f := x.refused("s3:DeleteObject", err)
			f.Seen += fmt.Sprintf("; %d objects stay under %s", len(made), x.folder)
			return f
		}
	}
	if _, err := x.store.client.head(ctx, made[0]); err == nil {
		return checkup.Bad("what was deleted is still there", "see whether the bucket holds objects back (Object Lock), or a proxy in front of the server keeps answers")
	} else if !errors.Is(err, blob.ErrNotExist) {
		return checkup.Warn("objects can be deleted, but the server does not say that they are gone: "+tell(err), "allow s3:ListBucket on arn:aws:s3:::"+x.store.client.bucket)
	}
	x.mu.Lock()
	x.made = nil
	x.mu.Unlock()
	return checkup.Fine("objects can be deleted, and those made here are")
}

// clear removes what an interrupted or failed examination leaves.
func (x *examination) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	x.mu.Lock()
	made, upload := x.made, x.upload
	x.mu.Unlock()
	if upload != "" {
		_ = x.store.client.abort(ctx, x.folder+"multipart", upload) // told by the check, if there was one
	}
	for _, name := range made {
		if x.store.client.remove(ctx, name) != nil {
			return
		}
	}
}
