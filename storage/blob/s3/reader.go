package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
)

// maxReopens is how often in a row a body may break off without a byte before Read
// gives up.
const maxReopens = 3

// reader reads an object through as few requests as may be. Where it stands and where
// the open body stands are two things: Seek is free, and whoever seeks there and back
// again, as to learn the size, reads on in the same body.
type reader struct {
	store *Store
	name  string
	size  int64
	etag  string
	at    int64 // where the reader stands

	ctx    context.Context
	cancel context.CancelFunc

	body       io.ReadCloser // nil if none is open
	bodyAt     int64         // where it stands
	bodyEnd    int64         // where it ends
	brokenOffs int           // in a row
	closed     bool
}

// openReader opens the object and what span says of it.
func (s *Store) openReader(ctx context.Context, key blob.Key, span blob.Span) (*reader, error) {
	if span.Offset < 0 || span.Length < 0 {
		return nil, errors.New("blob/s3: a span is negative")
	}
	r := &reader{store: s, name: s.object(key)}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, r.cancel)
	err := r.open(span)
	if !stop() && err == nil {
		err = r.ctx.Err()
	}
	if err != nil {
		r.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return r, nil
}

// open asks for the bytes of span. That there are none is no error.
func (r *reader) open(span blob.Span) error {
	var o minio.GetObjectOptions
	switch end := span.Offset + span.Length; {
	case span.Length > 0 && end > 0:
		o.Set("Range", fmt.Sprintf("bytes=%d-%d", span.Offset, end-1))
	case span.Offset > 0:
		o.Set("Range", fmt.Sprintf("bytes=%d-", span.Offset))
	}
	if r.etag != "" {
		if err := o.SetMatchETag(r.etag); err != nil {
			return err
		}
	}
	c := &call{kind: Get}
	body, info, header, err := r.store.client.GetObject(c.with(r.ctx), r.store.client.bucket, r.name, o)
	if is(err, http.StatusRequestedRangeNotSatisfiable, "InvalidRange") {
		return r.beyond(c.notedRange())
	}
	if is(err, http.StatusPreconditionFailed, "PreconditionFailed") {
		return fmt.Errorf("%w: %s has changed", blob.ErrNotExist, r.name)
	}
	if err != nil {
		return fault(r.ctx, "read "+r.name, err)
	}
	r.body, r.bodyAt, r.bodyEnd = body, 0, info.Size
	size := info.Size
	if cr := header.Get("Content-Range"); cr != "" {
		first, last, all, err := parseRange(cr)
		if err != nil {
			return err
		}
		r.bodyAt, r.bodyEnd, size = first, last+1, all
	}
	r.size, r.etag = size, info.ETag
	return nil
}

// beyond is the answer to a span that begins at the end or after it.
func (r *reader) beyond(contentRange string) error {
	if size, found := strings.CutPrefix(contentRange, "bytes */"); found {
		if n, err := strconv.ParseInt(size, 10, 64); err == nil {
			r.size = n
			return nil
		}
	}
	info, err := r.store.client.head(r.ctx, r.name)
	if err != nil {
		return err
	}
	r.size, r.etag = info.Size, info.ETag
	return nil
}

// parseRange reads a Content-Range.
func parseRange(s string) (first, last, size int64, err error) {
	if n, err := fmt.Sscanf(s, "bytes %d-%d/%d", &first, &last, &size); n != 3 || err != nil || first < 0 || last < first || size <= last {
		return 0, 0, 0, fmt.Errorf("%w: S3 answers with the range %q", blob.ErrUnavailable, s)
	}
	return first, last, size, nil
}

// Read reads on in the open body if that stands here, and otherwise opens one from
// here to the end. A body that breaks off is opened again.
func (r *reader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, errClosed
	}
	for {
		if r.at >= r.size {
			return 0, io.EOF
		}
		if len(p) == 0 {
			return 0, nil
		}
		if r.body == nil || r.bodyAt != r.at || r.bodyAt == r.bodyEnd {
			r.closeBody()
			if err := r.open(blob.Span{Offset: r.at}); err != nil {
				return 0, err
			}
			if r.body == nil || r.bodyAt != r.at {
				return 0, fmt.Errorf("%w: %s ends before its end", blob.ErrUnavailable, r.name)
			}
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.bodyEnd-r.bodyAt)])
		r.at += int64(n)
		r.bodyAt += int64(n)
		if n > 0 {
			r.brokenOffs = 0
		}
		if err != nil {
			// At the end of the body this is no error. Before it, another body is opened
			// from here, unless too many in a row have broken off.
			err = r.brokeOff(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// brokeOff forgets the body that has ended with err. The error is nil if another may be
// tried.
func (r *reader) brokeOff(err error) error {
	ended := r.bodyAt == r.bodyEnd
	r.closeBody()
	if ended {
		return nil
	}
	if r.brokenOffs++; r.brokenOffs > maxReopens || r.ctx.Err() != nil {
		return fault(r.ctx, "read "+r.name, err)
	}
	return nil
}

func (r *reader) closeBody() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

// Seek only says where the next Read is to read.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("blob/s3: Seek before the start")
	}
	r.at = offset
	return offset, nil
}

func (r *reader) Close() error {
	r.closed = true
	r.closeBody()
	r.cancel()
	return nil
}
