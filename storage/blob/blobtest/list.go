package blobtest

import (
	"testing"
	"time"

	"berth/storage/blob"
)

func testAll(t *testing.T, s blob.Store) {
	// Clocks of file systems and servers are coarse, or not ours.
	const slack = time.Minute
	before := time.Now().Add(-slack)

	small, _ := put(t, s, smallSize)
	big, _ := put(t, s, bigSize)
	empty, _ := put(t, s, 0)
	suspended := blob.NewKey()
	w := create(t, s, suspended)
	write(t, w, content(bigSize))
	state := suspend(t, w)

	for key, size := range map[blob.Key]int64{small: smallSize, big: bigSize, empty: 0} {
		o, found := find(t, s, key)
		if !found || !o.Committed || o.Size != size {
			t.Errorf("All: %+v, %v; want a committed object of %d bytes", o, found, size)
		}
		if o.ChangedAt.Before(before) || o.ChangedAt.After(time.Now().Add(slack)) {
			t.Errorf("All: %+v was not changed now", o)
		}
	}
	o, found := find(t, s, suspended)
	if !found || o.Committed || o.Size < 0 || o.Size > bigSize {
		t.Errorf("All: %+v, %v; want an unfinished object of at most %d bytes", o, found, bigSize)
	}
	if o.ChangedAt.Before(before) || o.ChangedAt.After(time.Now().Add(slack)) {
		t.Errorf("All: %+v was not changed now", o)
	}
	commit(t, resume(t, s, suspended, state))
	if o, found := find(t, s, suspended); !found || !o.Committed || o.Size != bigSize {
		t.Errorf("All after Commit: %+v, %v; want a committed object of %d bytes", o, found, bigSize)
	}
}

func testAllStops(t *testing.T, s blob.Store) {
	for range 3 {
		put(t, s, smallSize)
	}
	n := 0
	for _, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d objects before the first break; want 1", n)
	}
}
