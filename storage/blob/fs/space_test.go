package fs

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/blobtest"
)

// disk is a file system of which only the free bytes are known.
type disk struct {
	free  atomic.Int64
	asked atomic.Int64
}

func (d *disk) space(string) (int64, error) {
	d.asked.Add(1)
	return d.free.Load(), nil
}

func TestFullByReserve(t *testing.T) {
	const reserve = 10 << 20
	s := open(t, t.TempDir(), Options{Reserve: reserve})
	s.unnamed = false // so that All sees what is being written
	room := int64(reserve + 5<<20)
	s.space.free = func(string) (int64, error) {
		free := room
		for o, err := range s.All(t.Context()) {
			if err != nil {
				return 0, err
			}
			free -= o.Size
		}
		if free < reserve {
			t.Errorf("%d bytes are free, %d should be kept so", free, reserve)
		}
		return free, nil
	}
	blobtest.RunFull(t, s, func() { room += 64 << 20 })
}

func TestReserve(t *testing.T) {
	for _, test := range []struct {
		name           string
		reserve, free  int64
		create, commit bool
	}{
		{"default, nothing to spare", 0, DefaultReserve, false, false},
		{"default, one byte to spare", 0, DefaultReserve + 1, true, false},
		{"default, room", 0, DefaultReserve + 100, true, true},
		{"none, full", -1, 0, false, false},
		{"none, room for what is written", -1, 100, true, true},
		{"none, too little", -1, 99, true, false},
		{"more than there is", 1 << 40, 1 << 30, false, false},
		{"a file system that cannot tell", 1 << 40, math.MaxInt64, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d disk
			d.free.Store(test.free)
			s := open(t, t.TempDir(), Options{Reserve: test.reserve, FreeSpace: d.space})
			w, err := s.Create(t.Context(), blob.NewKey())
			if test.create != (err == nil) || !test.create && !errors.Is(err, blob.ErrFull) {
				t.Fatalf("Create: %v", err)
			}
			if err != nil {
				if left := files(t, s); len(left) > 0 {
					t.Errorf("files are left: %q", left)
				}
				return
			}
			defer w.Close()
			n, err := w.Write(make([]byte, 100))
			if test.commit && (n != 100 || err != nil) || !test.commit && (n != 0 || !errors.Is(err, blob.ErrFull)) {
				t.Fatalf("Write: %d, %v", n, err)
			}
			if err := w.Commit(t.Context()); err != nil {
				t.Errorf("Commit, which needs no room: %v", err)
			}
		})
	}
}

// TestResumeNeedsNoRoom finishes what was written before the disk became full.
func TestResumeNeedsNoRoom(t *testing.T) {
	var d disk
	d.free.Store(1 << 30)
	s := open(t, t.TempDir(), Options{FreeSpace: d.space})
	key, w := begun(t, s, []byte("layer"))
	state, err := w.Suspend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.free.Store(0)
	if w, err = s.Resume(t.Context(), key, state); err != nil {
		t.Fatalf("Resume: %v", err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// TestSpaceIsShared has many take at once: together they stay within one step of what
// the file system told last, and ask it rarely.
func TestSpaceIsShared(t *testing.T) {
	const takers, size = 16, 32 << 10
	var d disk
	d.free.Store(64 << 20)
	s := space{reserve: 16 << 20, free: d.space}
	var taken atomic.Int64
	var group sync.WaitGroup
	for range takers {
		group.Go(func() {
			for s.take(size) == nil {
				taken.Add(size)
				d.free.Add(-size)
			}
		})
	}
	group.Wait()
	// Whoever takes before another has written what it took is not seen in time.
	const most = 48<<20 + takers*size
	if n := taken.Load(); n < 48<<20-spaceStep || n > most {
		t.Errorf("%d bytes were taken; want about %d", n, 48<<20)
	}
	if n := d.asked.Load(); n > 48<<20/spaceStep*takers+takers {
		t.Errorf("the file system was asked %d times", n)
	}
}

func TestFreeSpace(t *testing.T) {
	n, err := freeSpace(t.TempDir())
	if n <= 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := freeSpace("/nowhere/at/all"); err == nil {
		t.Error("of a folder that is not there: no error")
	}
}
