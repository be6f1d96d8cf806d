package scan

import (
	"context"
	"maps"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/storage/queue"
)

const (
	// seenLately is how long ago a worker was seen at most that is taken to be there. One
	// that has nothing to do asks once a minute.
	seenLately = 10 * time.Minute

	// noteEvery is how often it is written down that a worker was seen.
	noteEvery = 15 * time.Second

	// maxHeard bounds the workers that are remembered; when there are more, what they say
	// is written down each time.
	maxHeard = 1000
)

// hear notes what a worker says of itself.
func (s *Service) hear(ctx context.Context, r LeaseRequest) error {
	w := Worker{
		Name: queue.Reason(r.Worker), Scanner: queue.Reason(r.Scanner), Trouble: queue.Reason(r.Trouble),
		Databases: map[DatabaseKind]digest.Digest{}, SeenAt: s.opts.Clock(),
	}
	for _, kind := range []DatabaseKind{Vulnerabilities, Java} {
		if d := r.Databases[kind]; d.Validate() == nil {
			w.Databases[kind] = d
		}
	}
	s.mu.Lock()
	known, there := s.heard[w.Name]
	same := there && known.Scanner == w.Scanner && known.Trouble == w.Trouble && maps.Equal(known.Databases, w.Databases)
	s.mu.Unlock()
	if same && w.SeenAt.Sub(known.SeenAt) < noteEvery {
		return nil
	}
	if err := s.store.NoteWorker(ctx, w); err != nil {
		return err
	}
	if w.Trouble != "" && known.Trouble != w.Trouble {
		s.opts.Logger.WarnContext(ctx, "a scanner has trouble", "scanner", w.Name, "trouble", w.Trouble)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heard) >= maxHeard {
		clear(s.heard)
	}
	s.heard[w.Name] = w
	return nil
}
