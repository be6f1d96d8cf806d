package s3

import (
	"bytes"
	"io"
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

// TestNoTail: what an upload leaves behind between two requests is small, since nearly
// every client sends a layer in one and ends it with another.
func TestNoTail(t *testing.T) {
	s, f := faulty(t, s3test.Start(t), nil)
	for _, n := range []int{5 << 20, 5<<20 + 1, 10<<20 - 1, 64<<20 - 3} {
		clear(f.seen)
		key, b := blob.NewKey(), content(n)
		state := suspendAfter(t, s, key, b)
		if len(state) > 1000 {
			t.Errorf("the state of %d bytes has %d", n, len(state))
		}
		w, err := s.Resume(t.Context(), key, state)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if parts := max(n/(5<<20), 1); f.seen[Part] != parts {
			t.Errorf("%d bytes went in %d parts, not %d", n, f.seen[Part], parts)
		}
		check(t, s, key, b)
	}
}

// TestSpareMemory has one goroutine fill more writers, one after the other, than there
// is memory for if each held a part back: those that do have to let go of it.
func TestSpareMemory(t *testing.T) {
	s, _ := faulty(t, s3test.Start(t), func(o *Options) { o.Memory = MinMemory })
	const writers, size = 15, 8 << 20
	type object struct {
		key blob.Key
		b   []byte
		w   blob.Writer
	}
	var objects []object
	for range writers {
		o := object{key: blob.NewKey(), b: content(size)}
		var err error
		if o.w, err = s.Create(t.Context(), o.key); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(o.w, bytes.NewReader(o.b)); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	for _, o := range objects {
		if err := o.w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, s, o.key, o.b)
	}
}
