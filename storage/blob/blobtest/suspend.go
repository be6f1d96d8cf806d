package blobtest

import (
	"bytes"
	"testing"

	"berth/storage/blob"
)

func testResume(t *testing.T, s blob.Store) {
	key := blob.NewKey()
	var b []byte
	w := create(t, s, key)
	for _, n := range []int{0, 1, 0, smallSize, 0, 0, 100_000} {
		piece := content(n)
		write(t, w, piece)
		b = append(b, piece...)
		state := suspend(t, w)
		// The state is kept in a row and comes back as a copy.
		w = resume(t, s, key, bytes.Clone(state))
	}
	commit(t, w)
	check(t, s, key, b)
}

func testResumeBig(t *testing.T, s blob.Store) {
	key := blob.NewKey()
	var b []byte
	w := create(t, s, key)
	for _, n := range []int{bigSize, 3, 5 << 20, 2 << 20} {
		piece := content(n)
		write(t, w, piece)
		b = append(b, piece...)
		w = resume(t, s, key, suspend(t, w))
	}
	commit(t, w)
	check(t, s, key, b)
}

func testResumeCutsOff(t *testing.T, s blob.Store) {
	for _, n := range []int{0, smallSize, bigSize} {
		key, b := blob.NewKey(), content(n)
		w := create(t, s, key)
		write(t, w, b)
		state := suspend(t, w)
		for _, lost := range []int{1, smallSize, bigSize} {
			w = resume(t, s, key, state)
			write(t, w, content(lost))
			closeIt(t, w)
		}
		w = resume(t, s, key, state)
		tail := content(10)
		write(t, w, tail)
		commit(t, w)
		check(t, s, key, append(b, tail...))
	}
}

// testResumeEarlierState is a caller that was killed between Suspend and the row in
// which it would have kept the state.
func testResumeEarlierState(t *testing.T, s blob.Store) {
	for _, n := range []int{smallSize, bigSize} {
		key, b := blob.NewKey(), content(n)
		w := create(t, s, key)
		write(t, w, b)
		noted := suspend(t, w)
		w = resume(t, s, key, noted)
		write(t, w, content(n))
		suspend(t, w)

		w = resume(t, s, key, noted)
		tail := content(n)
		write(t, w, tail)
		commit(t, resume(t, s, key, suspend(t, w)))
		check(t, s, key, append(b, tail...))
	}
}

func testCloseKeepsSuspended(t *testing.T, s blob.Store) {
	key, b := blob.NewKey(), content(smallSize)
	w := create(t, s, key)
	write(t, w, b)
	state := suspend(t, w)
	for range 3 {
		closeIt(t, resume(t, s, key, state))
	}
	checkAbsent(t, s, key)
	commit(t, resume(t, s, key, state))
	check(t, s, key, b)
}

func testCloseAtOnce(t *testing.T, s blob.Store) {
	for _, n := range []int{0, smallSize, bigSize} {
		key := blob.NewKey()
		w := create(t, s, key)
		write(t, w, content(n))
		closeIt(t, w)
		checkAbsent(t, s, key)
		if o, found := find(t, s, key); found {
			t.Errorf("All has %+v, which was closed without a Suspend", o)
		}
		discard(t, s, key, nil)
	}
}

func testResumeCommitted(t *testing.T, s blob.Store) {
	key, b := blob.NewKey(), content(bigSize)
	w := create(t, s, key)
	write(t, w, b)
	state := suspend(t, w)
	commit(t, resume(t, s, key, state))
	checkLost(t, s, key, state)
	check(t, s, key, b)
}

func testResumeDiscarded(t *testing.T, s blob.Store) {
	key := blob.NewKey()
	w := create(t, s, key)
	write(t, w, content(bigSize))
	state := suspend(t, w)
	discard(t, s, key, state)
	checkLost(t, s, key, state)
	checkAbsent(t, s, key)
}

func testDiscard(t *testing.T, s blob.Store) {
	discard(t, s, blob.NewKey(), nil) // never begun
	for _, n := range []int{0, smallSize, bigSize} {
		for _, known := range []bool{true, false} {
			key := blob.NewKey()
			w := create(t, s, key)
			write(t, w, content(n))
			state := suspend(t, w)
			if !known {
				state = nil
			}
			for range 2 {
				discard(t, s, key, state)
				checkAbsent(t, s, key)
			}
			if o, found := find(t, s, key); found {
				t.Errorf("All has the discarded %+v", o)
			}
		}
	}
}

func testDiscardCommitted(t *testing.T, s blob.Store) {
	key, b := blob.NewKey(), content(bigSize)
	w := create(t, s, key)
	write(t, w, b)
	state := suspend(t, w)
	commit(t, resume(t, s, key, state))
	discard(t, s, key, nil)
	discard(t, s, key, state)
	check(t, s, key, b)
}
