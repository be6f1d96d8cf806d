package fs

import (
	"fmt"
	"sync/atomic"

	"berth/storage/blob"
)

// spaceStep is how many bytes all writers together write before the file system is
// asked again how much it has left. To ask takes a microsecond, to write this much
// some thousands.
const spaceStep = 4 << 20

// space keeps writers out of the reserve. The allowance is shared, so that a thousand
// of them overrun no more than one would.
type space struct {
	dir       string
	reserve   int64
	free      func(dir string) (int64, error)
	allowance atomic.Int64 // bytes that may be written without asking
}

// take lets n bytes be written or answers ErrFull.
func (s *space) take(n int64) error {
	if s.allowance.Add(-n) >= 0 {
		return nil
	}
	return s.ask(n)
}

// ask is take by what the file system says now.
func (s *space) ask(n int64) error {
	free, err := s.free(s.dir)
	if err != nil {
		return fmt.Errorf("blob/fs: free space: %w", err)
	}
	room := free - s.reserve
	if room < n {
		s.allowance.Store(0)
		return fmt.Errorf("%w: %s has %d bytes left, of which %d are kept free", blob.ErrFull, s.dir, free, s.reserve)
	}
	s.allowance.Store(min(room-n, spaceStep))
	return nil
}
