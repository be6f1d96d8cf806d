package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
)

// walkBatch is how many entries S3 returns at a time.
const walkBatch = 1000

// uploads yields the unfinished uploads whose names begin with prefix, ordered by name.
func (s *Store) uploads(ctx context.Context, prefix string) iter.Seq2[minio.ObjectMultipartInfo, error] {
	ctx = (&call{kind: List}).with(ctx)
	return func(yield func(minio.ObjectMultipartInfo, error) bool) {
		var key, id string // where the page begins
		for {
			page, err := s.client.ListMultipartUploads(ctx, s.client.bucket, prefix, key, id, "", walkBatch)
			if err != nil {
				yield(minio.ObjectMultipartInfo{}, fault(ctx, "list uploads", err))
				return
			}
			for _, u := range page.Uploads {
				if !yield(u, nil) {
					return
				}
			}
			if !page.IsTruncated || page.NextKeyMarker == key && page.NextUploadIDMarker == id {
				return
			}
			key, id = page.NextKeyMarker, page.NextUploadIDMarker
		}
	}
}

// abortUploads aborts the uploads of one object, but for one.
func (s *Store) abortUploads(ctx context.Context, name, except string) error {
	for u, err := range s.uploads(ctx, name) {
		if err != nil {
			return err
		}
		if u.Key != name || u.UploadID == except {
			continue
		}
		if err := s.client.abort(ctx, name, u.UploadID); err != nil {
			return err
		}
	}
	return nil
}

// All lists uploads first: an object that is committed meanwhile is then seen twice
// rather than never. Names that are no keys are passed over.
func (s *Store) All(ctx context.Context) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(blob.Object{}, err)
			return
		}
		if s.allUnfinished(ctx, yield) {
			s.allCommitted(ctx, yield)
		}
	}
}

// Unfinished lists the uploads alone, of which there are few.
func (s *Store) Unfinished(ctx context.Context) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) { s.allUnfinished(ctx, yield) }
}

// allUnfinished yields the uploads, those of one name as one object, and reports whether
// to go on.
func (s *Store) allUnfinished(ctx context.Context, yield func(blob.Object, error) bool) bool {
	var o blob.Object // the last one, not yielded yet
	for u, err := range s.uploads(ctx, s.prefix) {
		if err != nil {
			yield(blob.Object{}, err)
			return false
		}
		key, err := blob.ParseKey(strings.TrimPrefix(u.Key, s.prefix))
		if err != nil {
			continue
		}
		if key != o.Key {
			if o.Key != "" && !yield(o, nil) {
				return false
			}
			o = blob.Object{Key: key}
		}
		if err := s.measure(ctx, &o, u); err != nil {
			yield(blob.Object{}, err)
			return false
		}
	}
	return o.Key == "" || yield(o, nil)
}

// measure adds an upload to o. One that has ended meanwhile has no parts.
func (s *Store) measure(ctx context.Context, o *blob.Object, u minio.ObjectMultipartInfo) error {
	if u.Initiated.After(o.ChangedAt) {
		o.ChangedAt = u.Initiated
	}
	ctx = (&call{kind: List}).with(ctx)
	for after := 0; ; {
		page, err := s.client.ListObjectParts(ctx, s.client.bucket, u.Key, u.UploadID, after, walkBatch)
		if err != nil {
			if word := meaning(err); word == blob.ErrLost || word == blob.ErrNotExist {
				return nil
			}
			return fault(ctx, "list parts", err)
		}
		for _, p := range page.ObjectParts {
			o.Size += p.Size
			if p.LastModified.After(o.ChangedAt) {
				o.ChangedAt = p.LastModified
			}
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= after {
			return nil
		}
		after = page.NextPartNumberMarker
	}
}

func (s *Store) allCommitted(ctx context.Context, yield func(blob.Object, error) bool) {
	listing := (&call{kind: List}).with(ctx)
	owner := false
	for o := range s.client.ListObjectsIter(listing, s.client.bucket, minio.ListObjectsOptions{
		Prefix: s.prefix, Recursive: true, MaxKeys: walkBatch, FetchOwner: &owner,
	}) {
		if o.Err != nil {
			yield(blob.Object{}, fault(ctx, "list objects", o.Err))
			return
		}
		key, err := blob.ParseKey(strings.TrimPrefix(o.Key, s.prefix))
		if err != nil {
			continue
		}
		if !yield(blob.Object{Key: key, Size: o.Size, Committed: true, ChangedAt: o.LastModified}, nil) {
			return
		}
	}
	if err := ctx.Err(); err != nil { // which ends the list without a word
		yield(blob.Object{}, err)
	}
}
