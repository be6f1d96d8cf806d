package meta

import "sync/atomic"

// maxUnsynced bounds the commits that may wait for the disk; then the writer waits
// with them.
const maxUnsynced = 64

// syncer makes commits durable, those that have come together meanwhile with one
// sync.
type syncer struct {
	sync    func() error
	end     func([]*write)
	waiting chan []*write
	done    chan struct{}
	failed  atomic.Pointer[error] // after which nothing is durable any more
	broken  chan struct{}         // closed once failed is set
}

func startSyncer(sync func() error, end func([]*write)) *syncer {
	s := &syncer{sync: sync, end: end, waiting: make(chan []*write, maxUnsynced), done: make(chan struct{}), broken: make(chan struct{})}
	go s.loop()
	return s
}

// wait ends a group when it is on the disk.
func (s *syncer) wait(group []*write) { s.waiting <- group }

func (s *syncer) close() {
	close(s.waiting)
	<-s.done
}

func (s *syncer) loop() {
	defer close(s.done)
	for first := range s.waiting {
		groups := [][]*write{first}
		for more := true; more && len(groups) < maxUnsynced; {
			select {
			case group, ok := <-s.waiting:
				if more = ok; ok {
					groups = append(groups, group)
				}
			default:
				more = false
			}
		}
		err := s.syncOnce()
		for _, group := range groups {
			for _, this := range group {
				if err != nil && this.durable() {
					this.err = err
				}
			}
			s.end(group)
		}
	}
}

// syncOnce fails for ever once it has failed: the kernel tells of a page that could
// not be written a single time, and then takes it for clean.
func (s *syncer) syncOnce() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	err := s.sync()
	if err != nil {
		s.failed.Store(&err)
		close(s.broken)
	}
	return err
}
