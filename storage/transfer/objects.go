package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"berth/storage/blob"
	"berth/storage/meta"
)

// LostError says which blobs could not be copied because their objects are not there,
// or not what their digests say.
type LostError struct {
	Digests []digest.Digest
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%d blobs have no object, or a damaged one, beginning with %s", len(e.Digests), e.Digests[0])
}

// copier copies objects.
type copier struct {
	from, to blob.Store
	parallel int
	log      *slog.Logger

	mu      sync.Mutex
	lost    []digest.Digest
	summary Summary
}

// source is what says which blobs there are.
type source interface {
	each(ctx context.Context, do func(meta.Blob) error) error
}

// blobLister is a database or a moment of it.
type blobLister interface {
	Blobs(ctx context.Context, last digest.Digest, limit int) ([]meta.Blob, error)
}

// pages goes through all blobs.
type pages struct{ of blobLister }

func (p pages) each(ctx context.Context, do func(meta.Blob) error) error {
	const size = 1000
	for last := digest.Digest(""); ; {
		page, err := p.of.Blobs(ctx, last, size)
		if err != nil {
			return err
		}
		for _, b := range page {
			if err := do(b); err != nil {
				return err
			}
			last = b.Digest
		}
		if len(page) < size {
			return nil
		}
	}
}

// begin forgets what has been counted, but for what was copied.
func (c *copier) begin() {
	c.summary.Objects = 0
	c.lost = nil
}

// copyAll copies the objects that the destination does not have yet.
// Errors: LostError, after all others have been copied.
func (c *copier) copyAll(ctx context.Context, blobs source) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(c.parallel, 1))
	var done atomic.Int64
	err := blobs.each(groupCtx, func(b meta.Blob) error {
		if b.Key == "" || b.Lost {
			return nil // its bytes are in the row, or nowhere
		}
		group.Go(func() error {
			if n := done.Add(1); n%1000 == 0 {
				c.log.InfoContext(ctx, "copying objects", "done", n)
			}
			return c.copyOne(groupCtx, b)
		})
		return nil
	})
	if err = errors.Join(group.Wait(), err); err != nil {
		return err
	}
	if len(c.lost) > 0 {
		return &LostError{c.lost}
	}
	return nil
}

func (c *copier) copyOne(ctx context.Context, b meta.Blob) error {
	size, err := c.to.Size(ctx, b.Key)
	if err == nil && size == b.Size {
		c.count(0, false)
		return nil
	}
	if err == nil {
		// Whole, and yet not this: it cannot have been copied from here.
		return fmt.Errorf("the destination has %d bytes under the key of %s, which has %d; is it the store of another registry?", size, b.Digest, b.Size)
	}
	if !errors.Is(err, blob.ErrNotExist) {
		return fmt.Errorf("looking for %s at the destination: %w", b.Digest, err)
	}
	n, err := c.transfer(ctx, b)
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, errDamaged) {
		c.log.ErrorContext(ctx, "a blob cannot be copied", "digest", b.Digest, "error", err)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lost = append(c.lost, b.Digest)
		return nil
	}
	if err != nil {
		return fmt.Errorf("copying %s: %w", b.Digest, err)
	}
	c.count(n, true)
	return nil
}

func (c *copier) count(bytes int64, copied bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.summary.Objects++
	c.summary.Bytes += bytes
	if copied {
		c.summary.Copied++
	}
}

var errDamaged = errors.New("the object is not what its digest says")

// transfer copies the bytes of one object and compares them with the digest before
// they count.
func (c *copier) transfer(ctx context.Context, b meta.Blob) (int64, error) {
	content, err := c.from.Open(ctx, b.Key, blob.Span{})
	if err != nil {
		return 0, err
	}
	defer content.Close()
	// What an earlier attempt has left unfinished goes.
	if err := c.to.Discard(ctx, b.Key, nil); err != nil {
		return 0, err
	}
	verifier := b.Digest.Verifier()
	sink := &sink{ctx: ctx, store: c.to, key: b.Key}
	if sink.writer, err = c.to.Create(ctx, b.Key); err != nil {
		return 0, err
	}
	defer func() { sink.writer.Close() }()
	n, err := io.CopyBuffer(sink, io.TeeReader(content, verifier), make([]byte, 256<<10))
	if err != nil {
		return n, err
	}
	if n != b.Size || !verifier.Verified() {
		return n, errDamaged
	}
	return n, sink.writer.Commit(ctx)
}

// sink writes to a store that may ask for its memory back.
type sink struct {
	ctx    context.Context
	store  blob.Store
	key    blob.Key
	writer blob.Writer
}

func (s *sink) Write(p []byte) (total int, err error) {
	for {
		n, err := s.writer.Write(p[total:])
		total += n
		if !errors.Is(err, blob.ErrYield) {
			return total, err
		}
		state, err := s.writer.Suspend(s.ctx)
		if err != nil {
			return total, err
		}
		if s.writer, err = s.store.Resume(s.ctx, s.key, state); err != nil {
			s.writer = closed{}
			return total, err
		}
	}
}

// closed stands for a writer that has ended.
type closed struct{ blob.Writer }

func (closed) Close() error { return nil }
