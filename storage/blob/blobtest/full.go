package blobtest

import (
	"bytes"
	"errors"
	"testing"

	"berth/storage/blob"
)

// RunFull tests what a store does when it is full. It has to be empty at first and
// full before 64 MiB are written; makeRoom then gives it room for as much again.
func RunFull(t *testing.T, s blob.Store, makeRoom func()) {
	committed, b := put(t, s, smallSize)
	key := blob.NewKey()
	w := create(t, s, key)
	written, err := fill(w)
	if !errors.Is(err, blob.ErrFull) {
		t.Fatalf("Write: %v after %d bytes; want ErrFull", err, len(written))
	}
	// Again, with what the counted bytes left over.
	if n, err := w.Write(content(128 << 10)); n != 0 || !errors.Is(err, blob.ErrFull) {
		t.Fatalf("Write to a full store: %d, %v; want ErrFull", n, err)
	}
	state := suspend(t, w)
	checkAbsent(t, s, key)
	check(t, s, committed, b)

	// Others find no room, harm nobody and leave nothing.
	other := blob.NewKey()
	w, err = s.Create(t.Context(), other)
	if err == nil {
		_, err = fill(w)
		closeIt(t, w)
	}
	if !errors.Is(err, blob.ErrFull) {
		t.Fatalf("Create and Write in a full store: %v; want ErrFull", err)
	}
	if o, found := find(t, s, other); found {
		t.Errorf("All has %+v, for which there was no room", o)
	}

	makeRoom()
	w = resume(t, s, key, state)
	tail := content(1 << 20)
	write(t, w, tail)
	commit(t, w)
	check(t, s, key, append(written, tail...))
	check(t, s, committed, b)
}

// fill writes until there is an error and returns what was counted.
func fill(w blob.Writer) ([]byte, error) {
	var written bytes.Buffer
	for written.Len() < 64<<20 {
		piece := content(100_000)
		n, err := w.Write(piece)
		written.Write(piece[:n])
		if err != nil {
			return written.Bytes(), err
		}
	}
	return written.Bytes(), nil
}
