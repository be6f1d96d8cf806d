package s3

import (
	"context"
	"hash/crc32"
	"sync"

	"berth/storage/blob"
)

// writer fills parts and sends those that are full.
type writer struct {
	store *Store
	key   blob.Key

	// The parts go on when the context of Create or Resume is done, but not after Close,
	// which may come while Write waits.
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	ended  bool
	upload *upload
	claim  *claim
	part   *body // is being filled
	full   int64 // the size at which it is full
	crc    uint32
}

var _ blob.Writer = (*writer)(nil)

func newWriter(ctx context.Context, s *Store, key blob.Key, from state, kept bool) *writer {
	w := &writer{store: s, key: key, claim: &claim{pool: s.pool, key: key}}
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.upload = newUpload(w.ctx, s, key, from, kept)
	w.begin()
	return w
}

// begin makes room for the next part, which takes no memory yet.
func (w *writer) begin() {
	w.part, w.crc = &body{arena: w.store.arena}, 0
	w.full = partSize(w.upload.next())
	w.claim.begin(w.full)
}

// Write copies p into the part that is being filled. It waits for memory if others have
// it all, and for S3 if that is slower than the client.
func (w *writer) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, errEnded
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := w.upload.failure(); err != nil {
		return 0, err
	}
	if w.claim.mustYield() {
		return 0, blob.ErrYield
	}
	for n < len(p) {
		room, err := w.room()
		if err != nil {
			return n, err
		}
		c := copy(room, p[n:])
		w.add(room[:c])
		n += c
		if w.part.size < w.full {
			continue
		}
		if err := w.next(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// next is called when a part is full.
func (w *writer) next() error {
	if err := w.upload.sendHeld(w.ctx); err != nil {
		return err
	}
	if w.store.pool.ample() {
		w.upload.hold(w.part, w.crc, w.pass())
		w.begin()
		return nil
	}
	return w.send()
}

// room is where the next bytes go: what the last piece has left, or a new piece.
func (w *writer) room() ([]byte, error) {
	used := w.part.size % pieceSize
	if used == 0 && w.part.size == int64(len(w.part.pieces))*pieceSize {
		if err := w.claim.take(w.ctx, pieceSize); err != nil {
			return nil, err
		}
		w.part.pieces = append(w.part.pieces, w.store.arena.get())
	}
	return w.part.pieces[len(w.part.pieces)-1][used:], nil
}

// add counts b, which lies in the last piece. The checksum is computed here because the
// bytes are in the cache now.
func (w *writer) add(b []byte) {
	w.part.size += int64(len(b))
	if w.upload.sums {
		w.crc = crc32.Update(w.crc, castagnoli, b)
	}
}

// send hands the part to the upload and begins the next one.
func (w *writer) send() error {
	err := w.upload.send(w.ctx, w.part, w.crc, w.pass())
	w.begin()
	return err
}

// pass returns what gives the memory of the part back.
func (w *writer) pass() (free func()) {
	b, pool, n := w.part, w.store.pool, w.claim.pass()
	return func() {
		b.free()
		pool.put(n)
	}
}

// last is the end of what there is for now, or for good: what is held back and what came
// after it become one part. Without a backlog it does nothing.
func (w *writer) last() *backlog {
	held := w.upload.takeHeld()
	if held == nil {
		return nil
	}
	w.upload.mu.Lock()
	w.upload.bytes += w.part.size
	w.upload.mu.Unlock()
	held.join(w.part, w.pass())
	w.begin()
	return held
}

// fill puts the tail of a state where it was.
func (w *writer) fill(ctx context.Context, tail []byte) error {
	if len(tail) == 0 {
		return nil
	}
	n := (len(tail) + pieceSize - 1) / pieceSize
	if err := w.claim.take(ctx, int64(n)*pieceSize); err != nil {
		return err
	}
	for len(tail) > 0 {
		p := w.store.arena.get()
		w.part.pieces = append(w.part.pieces, p)
		c := copy(p[:], tail)
		w.add(p[:c])
		tail = tail[c:]
	}
	return nil
}

// tail is the bytes of the part that is being filled.
func (w *writer) tail() []byte {
	tail := make([]byte, 0, w.part.size)
	for _, b := range w.part.chunks() {
		tail = append(tail, b...)
	}
	return tail
}

// release gives back memory and ends what is still on its way.
func (w *writer) release() {
	w.cancel()
	if held := w.upload.takeHeld(); held != nil {
		held.free()
	}
	w.upload.group.Wait()
	w.part.free()
	w.claim.drop()
}
