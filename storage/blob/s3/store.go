// Package s3 keeps objects in a bucket of Amazon S3 or of a server that speaks like it.
//
//	<prefix>/blobs/ab/<id>     committed
//
// Unfinished objects are multipart uploads under the same names, and bytes in the state
// that Suspend returns. An object under 5 MiB is one request; a larger one goes up in
// parts while it arrives, and nothing is ever copied in the bucket or read again. There
// are no temporary files: memory is all there is between the client and S3, and it is
// limited for the store as a whole.
//
// Besides reading, writing, deleting and listing objects, the keys need leave to
// abort and list multipart uploads and their parts, and to list the bucket, or S3
// says "forbidden" of an object that is not there. A rule of the bucket that aborts
// uploads after some days does no harm if unfinished pushes expire earlier.
package s3

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"berth/storage/blob"
)

// maxTries is how often a request is made before its failure is told, within some two
// seconds if S3 answers at once.
const maxTries = 5

// yieldPatience is how long a writer waits for memory before slow ones are asked for it.
const yieldPatience = time.Second

// Store is a [blob.Store] in a bucket. Several processes may use one bucket and prefix.
type Store struct {
	client  *client
	prefix  string // before keys
	pool    *pool
	arena   *arena
	timeout time.Duration
	log     *slog.Logger

	unconditional atomic.Bool // the server knows no If-None-Match on PUT

	work sync.WaitGroup // in the background
	stop context.CancelFunc
	ctx  context.Context // of the work; done when Close has waited long enough
}

var (
	_ blob.Store   = (*Store)(nil)
	_ blob.Sweeper = (*Store)(nil)
)

// Open returns the store in a bucket. The bucket is not asked for anything: it may be
// unreachable for now.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	o.complete()
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	memory, err := newArena(o.Memory)
	if err != nil {
		return nil, fmt.Errorf("blob/s3: %d bytes of memory for uploads: %w", o.Memory, err)
	}
	s := &Store{
		client: c, prefix: "blobs/", pool: newPool(o.Memory, yieldPatience), arena: memory,
		timeout: o.Timeout, log: o.Logger,
	}
	if prefix := strings.Trim(o.Prefix, "/"); prefix != "" {
		s.prefix = prefix + "/blobs/"
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Close waits for work in the background, until ctx is done. Writers and readers have to
// be closed before.
func (s *Store) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	defer s.arena.close()
	defer s.client.transport.CloseIdleConnections()
	defer s.stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// background does what nobody waits for.
func (s *Store) background(do func(context.Context) error) {
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
		defer cancel()
		if err := do(ctx); err != nil {
			s.log.Warn("work on the bucket failed", "error", err)
		}
	})
}

func (s *Store) object(key blob.Key) string { return s.prefix + string(key) }

// Create begins an object. S3 hears of it when the first part is full.
func (s *Store) Create(ctx context.Context, key blob.Key) (blob.Writer, error) {
	if err := begin(ctx, key); err != nil {
		return nil, err
	}
	return newWriter(ctx, s, key, state{}, false), nil
}

// Resume waits for memory for the bytes in the state. Whether the upload is still there
// turns out when its next part is sent, or at Commit.
func (s *Store) Resume(ctx context.Context, key blob.Key, suspended []byte) (blob.Writer, error) {
	if err := begin(ctx, key); err != nil {
		return nil, err
	}
	from, err := decodeState(suspended)
	if err != nil {
		return nil, err
	}
	w := newWriter(ctx, s, key, from, true)
	if err := w.fill(ctx, from.tail); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Discard aborts the upload of the state and all others under the same name, such as
// those of a process that died before it had noted them.
func (s *Store) Discard(ctx context.Context, key blob.Key, suspended []byte) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	var id string
	if suspended != nil {
		from, err := decodeState(suspended)
		if err != nil {
			return err
		}
		if id = from.upload; id != "" {
			if err := s.client.abort(ctx, s.object(key), id); err != nil {
				return err
			}
		}
	}
	return s.abortUploads(ctx, s.object(key), id)
}

// Open makes one request, for the bytes of span.
func (s *Store) Open(ctx context.Context, key blob.Key, span blob.Span) (io.ReadSeekCloser, error) {
	if err := begin(ctx, key); err != nil {
		return nil, err
	}
	return s.openReader(ctx, key, span)
}

// Size asks for the size of a committed object.
func (s *Store) Size(ctx context.Context, key blob.Key) (int64, error) {
	if err := begin(ctx, key); err != nil {
		return 0, err
	}
	info, err := s.client.head(ctx, s.object(key))
	if err != nil {
		return 0, err
	}
	return info.Size, nil
}

// Delete removes an object. In a bucket with versions it becomes one that is not current.
func (s *Store) Delete(ctx context.Context, key blob.Key) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	return s.client.remove(ctx, s.object(key))
}

// Presign makes a URL from which anybody who has it can read a committed object until
// it expires, after a second at least and a week at most. S3 is not asked.
func (s *Store) Presign(ctx context.Context, key blob.Key, expires time.Duration) (string, error) {
	if err := begin(ctx, key); err != nil {
		return "", err
	}
	u, err := s.client.PresignedGetObject((&call{kind: Other}).with(ctx), s.client.bucket, s.object(key), expires, nil)
	if err != nil {
		return "", fault(ctx, "sign a URL", err)
	}
	return u.String(), nil
}

// begin is what every call starts with. A key that is none must not become the name of
// something else.
func begin(ctx context.Context, key blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := blob.ParseKey(string(key))
	return err
}
