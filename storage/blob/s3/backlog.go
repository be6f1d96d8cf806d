package s3

import (
	"context"
	"hash/crc32"
)

// backlog is a part that is full and not sent yet, because it may turn out to be the
// last but one: then it goes together with what comes after it, and a suspended object
// leaves no tail behind that would have to be kept elsewhere, read again and sent then.
// It is sent when the next part is full too, or when somebody waits for memory.
type backlog struct {
	number int
	body   *body
	crc    uint32
	free   func() // gives its memory back
}

// hold keeps a part back, of which the upload may hold one at a time. Only from here on
// it has a number.
func (u *upload) hold(b *body, crc uint32, free func()) {
	u.mu.Lock()
	u.parts = append(u.parts, part{crc: crc})
	u.bytes += b.size
	u.held = &backlog{len(u.parts), b, crc, free}
	u.mu.Unlock()
	u.store.pool.canFree(u)
}

// takeHeld returns what is held back, or nil if there is nothing or it has been sent
// already to make room.
func (u *upload) takeHeld() *backlog {
	u.store.pool.cannotFree(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	held := u.held
	u.held = nil
	return held
}

// sendHeld sends what is held back when the part after it is full.
func (u *upload) sendHeld(ctx context.Context) error {
	held := u.takeHeld()
	if held == nil {
		return nil
	}
	return u.dispatch(ctx, held.number, held.body, held.crc, held.free)
}

// makeRoom sends what is held back at once, for those who wait for its memory. It may
// be called at any time, and waits for nothing.
func (u *upload) makeRoom() {
	u.mu.Lock()
	defer u.mu.Unlock()
	held := u.held
	if held == nil {
		return
	}
	u.held = nil
	// Nobody waits for the group as long as something is held.
	u.group.Go(func() {
		defer held.free()
		if err := u.put(u.ctx, held.number, held.body, held.crc); err != nil {
			u.fail(err)
		}
	})
}

// join puts what is held back and what came after it together in one part.
func (held *backlog) join(after *body, freeAfter func()) {
	for _, chunk := range after.chunks() {
		held.crc = crc32.Update(held.crc, castagnoli, chunk)
	}
	held.body.pieces = append(held.body.pieces, after.pieces...)
	held.body.size += after.size
	after.pieces = nil // they are free together with those of the other
	freeHeld := held.free
	held.free = func() {
		freeHeld()
		freeAfter()
	}
}
