package fs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"berth/storage/blob"
)

var errBroken = &os.PathError{Op: "fsync", Path: "disk", Err: syscall.EIO}

// breaking makes the nth sync from now fail with err, and counts from 0.
func breaking(s *Store, nth int, err error) {
	sync := s.sync
	n := 0
	s.sync = func(f *os.File) error {
		n++
		if n == nth+1 {
			return err
		}
		return sync(f)
	}
}

// TestFailedSync makes each sync of Suspend and Commit fail. Nothing may look
// committed afterwards, and bytes that were suspended before may be resumed only if
// the disk was full rather than broken.
func TestFailedSync(t *testing.T) {
	for _, err := range []error{errBroken, syscall.EIO, syscall.ENOSPC, syscall.EDQUOT} {
		full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
		for _, suspended := range []bool{false, true} {
			for _, end := range []string{"Suspend file", "Suspend folder", "Commit file", "Commit folder"} {
				if suspended && end == "Suspend folder" {
					continue // was synced the first time
				}
				t.Run(fmt.Sprint(err, suspended, end), func(t *testing.T) {
					testFailedSync(t, err, full, suspended, end)
				})
			}
		}
	}
}

func testFailedSync(t *testing.T, broken error, full, suspended bool, end string) {
	s := open(t, t.TempDir(), Options{})
	key, w := begun(t, s, []byte("kept"))
	var state []byte
	var err error
	if suspended {
		if state, err = w.Suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w, err = s.Resume(t.Context(), key, state); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(" and lost")); err != nil {
			t.Fatal(err)
		}
	}
	call, which, _ := strings.Cut(end, " ")
	breaking(s, map[string]int{"file": 0, "folder": 1}[which], broken)
	if call == "Suspend" {
		_, err = w.Suspend(t.Context())
	} else {
		err = w.Commit(t.Context())
	}
	if err == nil || errors.Is(err, blob.ErrFull) != full || !errors.Is(err, broken) {
		t.Fatalf("%s: %v", call, err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := s.Size(t.Context(), key); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("Size: %v; want ErrNotExist", err)
	}
	if !suspended || !full {
		if left := files(t, s); len(left) > 0 {
			t.Errorf("files are left: %q", left)
		}
	}
	if !suspended {
		return
	}
	w, err = s.Resume(t.Context(), key, state)
	if !full {
		if !errors.Is(err, blob.ErrLost) {
			t.Errorf("Resume: %v; want ErrLost", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Resume: %v", err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	if b, err := os.ReadFile(s.object(key)); string(b) != "kept" || err != nil {
		t.Errorf("the object: %q, %v", b, err)
	}
}

// TestOrderOfCommit holds the reason given at Commit: the rename is there before the
// file is synced, and the folder is synced last.
func TestOrderOfCommit(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	key, w := begun(t, s, []byte("layer"))
	var order []string
	s.sync = func(f *os.File) error {
		if _, err := os.Stat(s.object(key)); err != nil {
			t.Errorf("sync of %s before the rename: %v", f.Name(), err)
		}
		order = append(order, strings.TrimPrefix(f.Name(), s.dir+"/"))
		return f.Sync()
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"unfinished", "objects/" + string(key[:2])}; !slices.Equal(order, want) {
		t.Errorf("synced %q; want %q", order, want)
	}
}

func TestFailedRename(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	key, w := begun(t, s, []byte("layer"))
	// A folder in the way is what a rename cannot replace.
	if err := os.MkdirAll(s.object(key)+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err == nil {
		t.Fatal("Commit: no error")
	}
	if left := files(t, s); len(left) > 0 {
		t.Errorf("files are left: %q", left)
	}
}
