package s3

import (
	"errors"
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

// TestEarlierStateAfterFault has S3 fail for a while. What was suspended before must be
// there afterwards.
func TestEarlierStateAfterFault(t *testing.T) {
	server := s3test.Start(t)
	for _, kind := range []Kind{Begin, Part, Complete, Put} {
		for _, first := range []int{small, big} {
			s, f := faulty(t, server, nil)
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				key, b := blob.NewKey(), content(first+big)
				state := suspendAfter(t, s, key, b[:first])
				f.set(kind, -1, refuse(503, "SlowDown"))
				w, err := s.Resume(t.Context(), key, state)
				if err != nil {
					t.Fatal(err)
				}
				more := b[first:]
				if kind == Put {
					more = nil
				}
				_, err = w.Write(more)
				if err == nil {
					err = w.Commit(t.Context())
				}
				reached := kind != Begin || first == small
				if reached = reached && (kind != Put || first == small); reached != errors.Is(err, blob.ErrUnavailable) {
					t.Fatalf("%v; want ErrUnavailable: %v", err, reached)
				}
				w.Close()
				f.set("", 0, nil)
				if !reached {
					return
				}
				if w, err = s.Resume(t.Context(), key, state); err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				if _, err := w.Write(b[first:]); err != nil {
					t.Fatal(err)
				}
				if err := w.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				check(t, s, key, b)
				s.Delete(t.Context(), key)
				checkEmpty(t, s)
			})
		}
	}
}

func suspendAfter(t *testing.T, s *Store, key blob.Key, b []byte) []byte {
	t.Helper()
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	state, err := w.Suspend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestCommitAgain is a process that died after Commit and before it had noted that. Who
// repeats the same bytes succeeds; others learn that it is too late.
func TestCommitAgain(t *testing.T) {
	s := openStore(t, s3test.Start(t), nil)
	for _, n := range []int{small, 10 << 20} {
		key, b := blob.NewKey(), content(n)
		state := suspendAfter(t, s, key, b)
		again := func(more []byte) error {
			w, err := s.Resume(t.Context(), key, state)
			if err != nil {
				return err
			}
			defer w.Close()
			if _, err := w.Write(more); err != nil {
				return err
			}
			return w.Commit(t.Context())
		}
		if err := again(nil); err != nil {
			t.Fatal(err)
		}
		if err := again(nil); err != nil {
			t.Errorf("%d bytes once more: %v", n, err)
		}
		if err := again([]byte("more")); !errors.Is(err, blob.ErrLost) {
			t.Errorf("%d bytes and more: %v; want ErrLost", n, err)
		}
		check(t, s, key, b)
	}
}

// TestOperations counts requests: one for a small object, and two more than parts for
// a large one.
func TestOperations(t *testing.T) {
	s, f := faulty(t, s3test.Start(t), nil)
	for n, want := range map[int]int{0: 1, small: 1, 5<<20 - 1: 1, big: 4, 20 << 20: 6} {
		clear(f.seen)
		key, b := blob.NewKey(), content(n)
		state := suspendAfter(t, s, key, b[:n/2])
		w, err := s.Resume(t.Context(), key, state)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b[n/2:]); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		requests := 0
		for _, times := range f.seen {
			requests += times
		}
		if requests != want {
			t.Errorf("%d bytes: %d requests, %v; want %d", n, requests, f.seen, want)
		}
		clear(f.seen)
		check(t, s, key, b)
		if want := 1; f.seen[Get] != want || len(f.seen) != 1 {
			t.Errorf("reading %d bytes: %v", n, f.seen)
		}
	}
}
