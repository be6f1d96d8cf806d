// Package mem keeps objects in a map, for tests. It does what a disk does, but for
// lasting: suspended bytes are resumed in the same process, and a full store is one
// call away ([Store.SetCapacity]).
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"strconv"
	"sync"
	"time"

	"berth/storage/blob"
)

// Store is a [blob.Store] in memory.
type Store struct {
	mu       sync.Mutex
	objects  map[blob.Key]*object
	used     int64 // bytes of all objects
	capacity int64 // negative: no limit
}

var _ blob.Store = (*Store)(nil)

// object is changed under the lock of its store. Bytes that are committed stay as
// they are, and readers share them.
type object struct {
	bytes     []byte
	committed bool
	changedAt time.Time
}

// New returns an empty store without a limit.
func New() *Store {
	return &Store{objects: make(map[blob.Key]*object), capacity: -1}
}

// SetCapacity limits the bytes that all objects may have together; what is there
// already stays. A negative capacity is no limit.
func (s *Store) SetCapacity(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capacity = n
}

// Create begins an object. A store with a capacity must have some of it left.
func (s *Store) Create(ctx context.Context, key blob.Key) (blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[key]; o != nil {
		s.forget(key, o) // an attempt that was given up without a word
	}
	if s.room() == 0 {
		return nil, blob.ErrFull
	}
	o := &object{changedAt: time.Now()}
	s.objects[key] = o
	return &writer{store: s, key: key, object: o}, nil
}

// Resume cuts the object off where state says.
func (s *Store) Resume(ctx context.Context, key blob.Key, state []byte) (blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size, err := strconv.Atoi(string(state))
	if err != nil || size < 0 {
		return nil, fmt.Errorf("blob/mem: %q is not the state of a suspended object", state)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	if o == nil || o.committed || len(o.bytes) < size {
		return nil, fmt.Errorf("%w: %s", blob.ErrLost, key)
	}
	s.used -= int64(len(o.bytes) - size)
	o.bytes = o.bytes[:size]
	return &writer{store: s, key: key, object: o, kept: true}, nil
}

// Discard forgets an unfinished object.
func (s *Store) Discard(ctx context.Context, key blob.Key, _ []byte) error {
	return s.remove(ctx, key, false)
}

// Delete forgets a committed object.
func (s *Store) Delete(ctx context.Context, key blob.Key) error {
	return s.remove(ctx, key, true)
}

func (s *Store) remove(ctx context.Context, key blob.Key, committed bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[key]; o != nil && o.committed == committed {
		s.forget(key, o)
	}
	return nil
}

// Open reads the bytes of a committed object where they are.
func (s *Store) Open(ctx context.Context, key blob.Key, _ blob.Span) (io.ReadSeekCloser, error) {
	b, err := s.committed(ctx, key)
	if err != nil {
		return nil, err
	}
	return reader{bytes.NewReader(b)}, nil
}

// Size is the number of bytes of a committed object.
func (s *Store) Size(ctx context.Context, key blob.Key) (int64, error) {
	b, err := s.committed(ctx, key)
	return int64(len(b)), err
}

func (s *Store) committed(ctx context.Context, key blob.Key) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	if o == nil || !o.committed {
		return nil, fmt.Errorf("%w: %s", blob.ErrNotExist, key)
	}
	return o.bytes, nil
}

// All yields the store as it was when the walk began.
func (s *Store) All(ctx context.Context) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		s.mu.Lock()
		all := make(map[blob.Key]blob.Object, len(s.objects))
		for key, o := range s.objects {
			all[key] = blob.Object{Key: key, Size: int64(len(o.bytes)), Committed: o.committed, ChangedAt: o.changedAt}
		}
		s.mu.Unlock()
		if err := ctx.Err(); err != nil {
			yield(blob.Object{}, err)
			return
		}
		for o := range maps.Values(all) {
			if err := ctx.Err(); err != nil {
				yield(blob.Object{}, err)
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

// room is how many bytes may still be written, negative if there is no limit.
func (s *Store) room() int64 {
	if s.capacity < 0 {
		return -1
	}
	return max(s.capacity-s.used, 0)
}

// forget takes o out of the map unless another object has come to its place.
func (s *Store) forget(key blob.Key, o *object) {
	if s.objects[key] == o {
		delete(s.objects, key)
		s.used -= int64(len(o.bytes))
	}
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }
