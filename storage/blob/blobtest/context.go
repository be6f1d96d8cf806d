package blobtest

import (
	"context"
	"errors"
	"testing"

	"berth/storage/blob"
)

func testCancelled(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	committed, b := put(t, s, smallSize)
	unfinished := blob.NewKey()
	w := create(t, s, unfinished)
	write(t, w, b)
	state := suspend(t, w)

	calls := map[string]func() error{
		"Create":  func() error { _, err := s.Create(ctx, blob.NewKey()); return err },
		"Resume":  func() error { _, err := s.Resume(ctx, unfinished, state); return err },
		"Discard": func() error { return s.Discard(ctx, unfinished, state) },
		"Open":    func() error { _, err := s.Open(ctx, committed, blob.Span{}); return err },
		"Size":    func() error { _, err := s.Size(ctx, committed); return err },
		"Delete":  func() error { return s.Delete(ctx, committed) },
		"All": func() (err error) {
			for _, err = range s.All(ctx) {
			}
			return err
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v; want Canceled", name, err)
		}
	}
	check(t, s, committed, b)
	commit(t, resume(t, s, unfinished, state))
	check(t, s, unfinished, b)
}

func testCancelledWriter(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ends := map[string]func(blob.Writer) error{
		"Suspend": func(w blob.Writer) error { _, err := w.Suspend(ctx); return err },
		"Commit":  func(w blob.Writer) error { return w.Commit(ctx) },
	}
	for name, end := range ends {
		for _, n := range []int{smallSize, bigSize} {
			key, b := blob.NewKey(), content(n)
			w := create(t, s, key)
			write(t, w, b)
			state := suspend(t, w)
			w = resume(t, s, key, state)
			write(t, w, content(n))
			if err := end(w); !errors.Is(err, context.Canceled) {
				t.Errorf("%s with a cancelled context: %v; want Canceled", name, err)
			}
			closeIt(t, w)
			checkAbsent(t, s, key)
			commit(t, resume(t, s, key, state))
			check(t, s, key, b)
		}
	}
}
