package blobtest

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"berth/storage/blob"
)

// Sizes of objects. A store in a bucket keeps the small one beside its state and the
// big one, which has more than two of S3's smallest parts, mostly in the bucket.
const (
	smallSize = 1000
	bigSize   = 11<<20 + 7
)

// content returns n bytes that are not to be changed. They are like those of no other
// call, if not for certain: random bytes are cut out at a random place, because to
// make them anew would take most of the time of the suite.
func content(n int) []byte {
	pool := randomBytes()
	at := rand.IntN(len(pool) - n)
	return pool[at : at+n : at+n]
}

var randomBytes = sync.OnceValue(func() []byte {
	b := make([]byte, 32<<20)
	cryptorand.Read(b) // never fails
	return b
})

func create(t *testing.T, s blob.Store, key blob.Key) blob.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return w
}

func resume(t *testing.T, s blob.Store, key blob.Key, state []byte) blob.Writer {
	t.Helper()
	w, err := s.Resume(t.Context(), key, state)
	if err != nil {
		t.Fatalf("Resume: %v", err)
	}
	return w
}

func write(t *testing.T, w blob.Writer, b []byte) {
	t.Helper()
	if n, err := w.Write(b); n != len(b) || err != nil {
		t.Fatalf("Write of %d bytes: %d, %v", len(b), n, err)
	}
}

func suspend(t *testing.T, w blob.Writer) []byte {
	t.Helper()
	state, err := w.Suspend(t.Context())
	if err != nil {
		t.Fatalf("Suspend: %v", err)
	}
	return state
}

func commit(t *testing.T, w blob.Writer) {
	t.Helper()
	if err := w.Commit(t.Context()); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func closeIt(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func discard(t *testing.T, s blob.Store, key blob.Key, state []byte) {
	t.Helper()
	if err := s.Discard(t.Context(), key, state); err != nil {
		t.Fatalf("Discard: %v", err)
	}
}

// put commits an object of n bytes.
func put(t *testing.T, s blob.Store, n int) (blob.Key, []byte) {
	t.Helper()
	key, b := blob.NewKey(), content(n)
	w := create(t, s, key)
	write(t, w, b)
	commit(t, w)
	return key, b
}

func open(t *testing.T, s blob.Store, key blob.Key) io.ReadSeekCloser {
	t.Helper()
	r, err := s.Open(t.Context(), key, blob.Span{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// check compares the committed object of key with want.
func check(t *testing.T, s blob.Store, key blob.Key, want []byte) {
	t.Helper()
	if err := compare(t.Context(), s, key, want); err != nil {
		t.Fatal(err)
	}
}

// compare is check for other goroutines.
func compare(ctx context.Context, s blob.Store, key blob.Key, want []byte) error {
	size, err := s.Size(ctx, key)
	if err != nil {
		return err
	}
	r, err := s.Open(ctx, key, blob.Span{})
	if err != nil {
		return err
	}
	defer r.Close()
	if err := same(r, want); err != nil {
		return err
	}
	if size != int64(len(want)) {
		return fmt.Errorf("there are %d bytes, but Size says %d", len(want), size)
	}
	return nil
}

// checkAbsent fails if key can be read.
func checkAbsent(t *testing.T, s blob.Store, key blob.Key) {
	t.Helper()
	if r, err := s.Open(t.Context(), key, blob.Span{}); !errors.Is(err, blob.ErrNotExist) {
		t.Fatalf("Open: %v, %v; want ErrNotExist", r, err)
	}
	if n, err := s.Size(t.Context(), key); !errors.Is(err, blob.ErrNotExist) {
		t.Fatalf("Size: %d, %v; want ErrNotExist", n, err)
	}
}

// checkLost fails if a writer can be resumed from state and brought to an end.
func checkLost(t *testing.T, s blob.Store, key blob.Key, state []byte) {
	t.Helper()
	w, err := s.Resume(t.Context(), key, state)
	if err == nil {
		defer w.Close()
		_, err = w.Write(content(smallSize))
	}
	if err == nil {
		err = w.Commit(t.Context())
	}
	if !errors.Is(err, blob.ErrLost) {
		t.Fatalf("Resume of what is gone: %v; want ErrLost", err)
	}
}

// find looks for key in All.
func find(t *testing.T, s blob.Store, key blob.Key) (o blob.Object, found bool) {
	t.Helper()
	for each, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		if each.Key != key {
			continue
		}
		if found {
			t.Fatalf("All: %s twice", key)
		}
		o, found = each, true
	}
	return o, found
}
