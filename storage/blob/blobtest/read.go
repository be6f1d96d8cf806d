package blobtest

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"berth/storage/blob"
)

// readAt seeks to offset and compares n bytes.
func readAt(r io.ReadSeeker, want []byte, offset, n int64) error {
	at, err := r.Seek(offset, io.SeekStart)
	if err != nil {
		return err
	}
	if at != offset {
		return fmt.Errorf("a Seek to %d went to %d", offset, at)
	}
	if err := same(io.LimitReader(r, n), want[offset:offset+n]); err != nil {
		return fmt.Errorf("%d bytes at %d: %w", n, offset, err)
	}
	return nil
}

func testSeek(t *testing.T, s blob.Store) {
	key, b := put(t, s, bigSize)
	r := open(t, s, key)
	for _, at := range [][2]int64{{0, 1}, {bigSize - 1, 1}, {5 << 20, 3}, {7, 1 << 20}, {0, bigSize}, {bigSize, 0}} {
		if err := readAt(r, b, at[0], at[1]); err != nil {
			t.Error(err)
		}
	}
	if n, err := r.Seek(-3, io.SeekEnd); n != bigSize-3 || err != nil {
		t.Errorf("Seek from the end: %d, %v", n, err)
	}
	if n, err := r.Seek(1, io.SeekCurrent); n != bigSize-2 || err != nil {
		t.Errorf("Seek from where it is: %d, %v", n, err)
	}
	if err := same(r, b[bigSize-2:]); err != nil {
		t.Errorf("the last two bytes: %v", err)
	}
	if n, err := r.Seek(bigSize+10, io.SeekStart); n != bigSize+10 || err != nil {
		t.Errorf("Seek past the end: %d, %v", n, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read past the end: %d, %v; want EOF", n, err)
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek before the start: no error")
	}
}

func testReaders(t *testing.T, s blob.Store) {
	key, b := put(t, s, bigSize)
	var group sync.WaitGroup
	for i := range int64(8) {
		group.Go(func() {
			if err := readRanges(t.Context(), s, key, b, i); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func readRanges(ctx context.Context, s blob.Store, key blob.Key, b []byte, i int64) error {
	r, err := s.Open(ctx, key, blob.Span{})
	if err != nil {
		return err
	}
	defer r.Close()
	for offset := i * 1001; offset < int64(len(b)); offset += 2 << 20 {
		if err := readAt(r, b, offset, min(64<<10, int64(len(b))-offset)); err != nil {
			return err
		}
	}
	return nil
}

func testNotExist(t *testing.T, s blob.Store) {
	checkAbsent(t, s, blob.NewKey())
}

func testDelete(t *testing.T, s blob.Store) {
	key, _ := put(t, s, smallSize)
	other, b := put(t, s, smallSize)
	for range 2 { // the second finds nothing, which is no error
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		checkAbsent(t, s, key)
	}
	if err := s.Delete(t.Context(), blob.NewKey()); err != nil {
		t.Fatalf("Delete of what never was: %v", err)
	}
	if o, found := find(t, s, key); found {
		t.Errorf("All has the deleted %+v", o)
	}
	check(t, s, other, b)
}

func testDeleteUnfinished(t *testing.T, s blob.Store) {
	key, b := blob.NewKey(), content(bigSize)
	w := create(t, s, key)
	write(t, w, b)
	state := suspend(t, w)
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	commit(t, resume(t, s, key, state))
	check(t, s, key, b)
}

func testDeleteWhileReading(t *testing.T, s blob.Store) {
	key, b := put(t, s, bigSize)
	r := open(t, s, key)
	if err := same(io.LimitReader(r, 1), b[:1]); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if err := same(r, b[1:]); err != nil {
		t.Fatalf("reading on after Delete: %v", err)
	}
	checkAbsent(t, s, key)
}
