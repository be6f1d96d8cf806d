package mem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"berth/storage/blob"
)

var errEnded = errors.New("blob/mem: the writer has ended")

// writer appends to an object of the map.
type writer struct {
	store  *Store
	key    blob.Key
	object *object // nil once the writer has ended
	kept   bool    // there was a Suspend: the object stays when this writer gives up
}

// Write appends what there is room for.
func (w *writer) Write(p []byte) (int, error) {
	if w.object == nil {
		return 0, errEnded
	}
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[w.key] != w.object {
		return 0, w.lost()
	}
	n := len(p)
	if room := s.room(); room >= 0 && room < int64(n) {
		n = int(room)
	}
	w.object.bytes = append(w.object.bytes, p[:n]...)
	w.object.changedAt = time.Now()
	s.used += int64(n)
	if n < len(p) {
		return n, blob.ErrFull
	}
	return n, nil
}

// Suspend leaves the object in the map; the state is its size in decimal.
func (w *writer) Suspend(ctx context.Context) ([]byte, error) {
	o, err := w.end(ctx)
	if err != nil {
		return nil, err
	}
	return strconv.AppendInt(nil, int64(len(o.bytes)), 10), nil
}

// Commit opens the object to readers.
func (w *writer) Commit(ctx context.Context) error {
	o, err := w.end(ctx)
	if err != nil {
		return err
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	o.committed = true
	return nil
}

// Close forgets the object if there was no Suspend.
func (w *writer) Close() error {
	o := w.object
	w.object = nil
	if o != nil {
		w.giveUp(o)
	}
	return nil
}

// end takes the object out of the writer, for Suspend and Commit.
func (w *writer) end(ctx context.Context) (*object, error) {
	o := w.object
	if o == nil {
		return nil, errEnded
	}
	w.object = nil
	if err := ctx.Err(); err != nil {
		w.giveUp(o)
		return nil, err
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.store.objects[w.key] != o {
		return nil, w.lost()
	}
	return o, nil
}

func (w *writer) giveUp(o *object) {
	if w.kept {
		return
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.forget(w.key, o)
}

func (w *writer) lost() error { return fmt.Errorf("%w: %s", blob.ErrLost, w.key) }
