package s3

import (
	"context"
	"sync"
	"time"

	"berth/storage/blob"
)

// inFlight is how many parts of one object are on their way at once. That helps where S3
// is far, and is allowed while most of the memory is free. When half of it is used,
// there are many objects to keep the connections busy, and one part of each is enough.
const inFlight = 4

// grace is how long a request that should not be cut off may go on after its writer was
// given up.
const grace = 3 * time.Second

// withGrace returns a context that ends some time after ctx.
func withGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(later, func() { timer.Stop() })
	})
	return later, func() {
		stop()
		cancel()
	}
}

// upload is a multipart upload. It begins with its first part.
type upload struct {
	store *Store
	ctx   context.Context // of its requests, until the writer ends
	name  string
	kept  bool // there is a state from which others may go on
	sums  bool // with checksums; what it began with, it has to end with
	slots chan struct{}
	group sync.WaitGroup // of parts on their way

	creating sync.Mutex // held while the upload is begun

	mu     sync.Mutex
	id     string // empty: not begun
	own    bool   // begun by this writer: no state knows of it
	strays bool
	parts  []part // of those on their way, or held back, the ETag is empty
	bytes  int64  // of all parts
	held   *backlog
	err    error // the first failure
}

func newUpload(ctx context.Context, s *Store, key blob.Key, from state, kept bool) *upload {
	u := &upload{
		store: s, ctx: ctx, name: s.object(key), kept: kept, slots: make(chan struct{}, inFlight),
		id: from.upload, sums: from.sums, strays: from.strays, parts: from.parts, bytes: from.bytes,
	}
	if u.id == "" {
		u.sums = !s.client.noChecksum
	}
	return u
}

// failure is the first failure of a part, or nil.
func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
}

// next is the number of the part that comes after all others.
func (u *upload) next() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.parts) + 1
}

// there reports whether S3 has been asked to begin the upload.
func (u *upload) there() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.id != "" || u.strays
}

// begun reports whether there are parts.
func (u *upload) begun() bool { return u.next() > 1 }

// send uploads the next part in the background, as soon as not too many others are on
// their way. free is called when the memory of b is not needed any more.
func (u *upload) send(ctx context.Context, b *body, crc uint32, free func()) error {
	u.mu.Lock()
	u.parts = append(u.parts, part{crc: crc})
	u.bytes += b.size
	n := len(u.parts)
	u.mu.Unlock()
	return u.dispatch(ctx, n, b, crc, free)
}

// dispatch is send for a part that has its number.
func (u *upload) dispatch(ctx context.Context, n int, b *body, crc uint32, free func()) error {
	slots := inFlight
	switch used := u.store.pool.used(); {
	case used < 0.25:
		slots = 1
	case used < 0.5:
		slots = 2
	}
	for taken := range slots {
		select {
		case u.slots <- struct{}{}:
		case <-ctx.Done():
			free()
			u.leave(taken)
			return ctx.Err()
		}
	}
	u.group.Go(func() {
		defer func() {
			free()
			u.leave(slots)
		}()
		if err := u.put(ctx, n, b, crc); err != nil {
			u.fail(err)
		}
	})
	return nil
}

func (u *upload) leave(slots int) {
	for range slots {
		<-u.slots
	}
}

func (u *upload) put(ctx context.Context, n int, b *body, crc uint32) error {
	if n > maxParts {
		return errTooLarge
	}
	if err := u.begin(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// S3 may finish with a request that was cut off when others have been answered that
	// came after it: with the abort of the upload, which would be there again, or with
	// the same part, which whoever goes on from a state sends with other bytes.
	ctx, cancel := withGrace(ctx)
	defer cancel()
	etag, err := u.store.client.part(ctx, u, n, b, crc)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[n-1] = part{etag, crc}
	return nil
}

// begin begins the upload, unless that has been done.
func (u *upload) begin(ctx context.Context) error {
	u.creating.Lock()
	defer u.creating.Unlock()
	if err := u.failure(); err != nil || u.id != "" {
		return err
	}
	// If the request were cut off, nobody would know whether S3 has begun an upload.
	ctx, cancel := withGrace(ctx)
	defer cancel()
	id, retried, err := u.store.client.create(ctx, u.name, u.sums)
	u.mu.Lock()
	defer u.mu.Unlock()
	// A request that failed may have begun one all the same, if its answer was lost.
	u.strays = u.strays || retried || err != nil && !answered(err)
	if err != nil {
		return err
	}
	u.id, u.own = id, true
	return nil
}

// wait waits for the parts on their way. If ctx is done before, they are given up with
// cancel. The error is that of ctx or that of the first part that failed.
func (u *upload) wait(ctx context.Context, cancel func()) error {
	done := make(chan struct{})
	go func() {
		u.group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return u.failure()
	case <-ctx.Done():
		cancel()
		<-done
		return ctx.Err()
	}
}

// state is how to go on, with the tail. All parts have to be there.
func (u *upload) state(tail []byte) state {
	u.mu.Lock()
	defer u.mu.Unlock()
	return state{upload: u.id, sums: u.sums, strays: u.strays, parts: u.parts, bytes: u.bytes, tail: tail}
}

// abandon frees what no state knows: the upload, unless it is kept and was begun by an
// earlier writer, and any twin. Failures are logged, as nobody can do anything about
// them but Discard.
func (u *upload) abandon() {
	u.mu.Lock()
	id, own, strays := u.id, u.own, u.strays
	u.mu.Unlock()
	if u.kept && !own {
		return
	}
	s := u.store
	ctx, cancel := context.WithTimeout(context.Background(), min(s.timeout, closeTimeout))
	defer cancel()
	var err error
	if id != "" {
		err = s.client.abort(ctx, u.name, id)
	}
	if strays && err == nil {
		err = s.abortUploads(ctx, u.name, "")
	}
	if err != nil {
		s.log.Warn("an unfinished upload is left in the bucket", "object", u.name, "error", err)
	}
}
