package blobtest

import (
	"context"
	"errors"
	"testing"

	"berth/storage/blob"
)

func testCommit(t *testing.T, s blob.Store) {
	for _, n := range []int{1, smallSize, 1 << 20, bigSize} {
		key, b := put(t, s, n)
		check(t, s, key, b)
		check(t, s, key, b) // reading changes nothing
	}
}

func testInvisible(t *testing.T, s blob.Store) {
	key, b := blob.NewKey(), content(smallSize)
	checkAbsent(t, s, key)
	w := create(t, s, key)
	checkAbsent(t, s, key)
	write(t, w, b)
	checkAbsent(t, s, key)
	state := suspend(t, w)
	checkAbsent(t, s, key)
	w = resume(t, s, key, state)
	checkAbsent(t, s, key)
	commit(t, w)
	check(t, s, key, b)
}

func testEmpty(t *testing.T, s blob.Store) {
	key := blob.NewKey()
	commit(t, create(t, s, key))
	check(t, s, key, nil)

	key = blob.NewKey()
	w := create(t, s, key)
	write(t, w, nil)
	w = resume(t, s, key, suspend(t, w))
	commit(t, w)
	check(t, s, key, nil)
}

// testPieces writes pieces of many lengths out of one buffer, which the store may
// neither keep nor change.
func testPieces(t *testing.T, s blob.Store) {
	key, b := blob.NewKey(), content(3<<20)
	w := create(t, s, key)
	buffer := make([]byte, 1<<20)
	for rest, n := b, 0; len(rest) > 0; n = n*2 + 1 {
		n = min(n, len(rest), len(buffer))
		copy(buffer, rest[:n])
		write(t, w, buffer[:n])
		if string(buffer[:n]) != string(rest[:n]) {
			t.Fatal("Write has changed its argument")
		}
		clear(buffer)
		rest = rest[n:]
	}
	commit(t, w)
	check(t, s, key, b)
}

func testEndedWriter(t *testing.T, s blob.Store) {
	ends := map[string]func(blob.Writer){
		"Suspend": func(w blob.Writer) { suspend(t, w) },
		"Commit":  func(w blob.Writer) { commit(t, w) },
		"Close":   func(w blob.Writer) { closeIt(t, w) },
	}
	for name, end := range ends {
		key, b := blob.NewKey(), content(smallSize)
		w := create(t, s, key)
		write(t, w, b)
		end(w)
		if n, err := w.Write(b); n != 0 || err == nil {
			t.Errorf("Write after %s: %d, %v; want an error", name, n, err)
		}
		if _, err := w.Suspend(t.Context()); err == nil {
			t.Errorf("Suspend after %s: no error", name)
		}
		if err := w.Commit(t.Context()); err == nil {
			t.Errorf("Commit after %s: no error", name)
		}
		for range 2 {
			if err := w.Close(); err != nil {
				t.Errorf("Close after %s: %v", name, err)
			}
		}
		if name == "Commit" {
			check(t, s, key, b)
		} else {
			checkAbsent(t, s, key)
		}
	}
}

// testCreateAgain is a caller that was killed before it had kept anything of its
// first attempt, which had come this far or that.
func testCreateAgain(t *testing.T, s blob.Store) {
	for name, attempt := range map[string]func(blob.Writer){
		"written":   func(blob.Writer) {},
		"suspended": func(w blob.Writer) { suspend(t, w) },
		"committed": func(w blob.Writer) { commit(t, w) },
	} {
		t.Run(name, func(t *testing.T) {
			key, b := blob.NewKey(), content(smallSize)
			w := create(t, s, key)
			first := content(2 * smallSize)
			write(t, w, first)
			attempt(w)
			w = create(t, s, key)
			write(t, w, b)
			if err := w.Commit(t.Context()); name == "committed" && errors.Is(err, blob.ErrLost) {
				b = first // which the driver may keep
			} else if err != nil {
				t.Fatalf("Commit: %v", err)
			}
			check(t, s, key, b)
		})
	}
}

// testContextOfCreate has the client of an upload go away: what arrived is kept.
func testContextOfCreate(t *testing.T, s blob.Store) {
	key, b := blob.NewKey(), content(2*bigSize)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.Create(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, b[:bigSize])
	cancel()
	write(t, w, b[bigSize:bigSize+smallSize])
	state := suspend(t, w)

	ctx, cancel = context.WithCancel(t.Context())
	w, err = s.Resume(ctx, key, state)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	write(t, w, b[bigSize+smallSize:])
	commit(t, w)

	ctx, cancel = context.WithCancel(t.Context())
	r, err := s.Open(ctx, key, blob.Span{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if err := readAt(r, b, 5, smallSize); err != nil {
		t.Fatalf("reading after the context of Open is done: %v", err)
	}
	check(t, s, key, b)
}
