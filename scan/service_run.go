package scan

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
)

const (
	// look is how often there may be a new database, or room for more jobs.
	look = 2 * time.Second

	// again is how often all images are looked at although there is no new database: some
	// may have been pulled, and be worth matching again.
	again = time.Hour

	// maxMatches is how many jobs may wait that nobody waits for. The rest waits where
	// it can be counted, and is not in the way of those who look at the queue.
	maxMatches = 300

	// many is how many images are looked at in one transaction.
	many = 100

	// layerAge is how long what was found in a layer is kept after it was used.
	layerAge = 30 * 24 * time.Hour
)

// walk is how far a service has come with making jobs of images that have waited for a
// database.
type walk struct {
	database  digest.Digest // that it is for
	pending   bool          // images that were never matched are done
	matches   bool          // and so are those that were
	at        Position
	endedAt   time.Time
	forgotten time.Time // when what is no longer kept was removed
}

// Run has images matched again when there is another database, and forgets what nobody needs
// any more, until ctx ends. alone calls do unless another server is at it; it is for sparing
// the database.
func (s *Service) Run(ctx context.Context, alone func(ctx context.Context, do func(context.Context) error) (held bool, err error)) {
	var w walk
	for {
		if err := s.step(ctx, &w, alone); err != nil && ctx.Err() == nil {
			s.opts.Logger.WarnContext(ctx, "images cannot be scheduled for scans; they wait until the next attempt", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
	}
}

// step does what there is to do, which is mostly nothing.
func (s *Service) step(ctx context.Context, w *walk, alone func(context.Context, func(context.Context) error) (bool, error)) error {
	present, err := s.present(ctx)
	if err != nil {
		return err
	}
	now := s.opts.Clock()
	if present.Digest != w.database || now.Sub(w.endedAt) >= again && w.pending && w.matches {
		*w = walk{database: present.Digest, forgotten: w.forgotten}
	}
	forget := now.Sub(w.forgotten) >= again
	if w.pending && w.matches && !forget {
		return nil
	}
	_, err = alone(ctx, func(ctx context.Context) error {
		if err := s.schedule(ctx, w, present); err != nil || !forget {
			return err
		}
		return s.forget(ctx)
	})
	if err == nil && forget {
		w.forgotten = now // by another server, if one is at it
	}
	return err
}

// Schedule makes jobs of the images that wait for one, as far as there is room for them.
// Servers do so by themselves.
func (s *Service) Schedule(ctx context.Context) error {
	present, err := s.present(ctx)
	if err != nil {
		return err
	}
	return s.schedule(ctx, &walk{database: present.Digest}, present)
}

// schedule goes on with a walk until it is through, or enough jobs wait.
func (s *Service) schedule(ctx context.Context, w *walk, present Database) error {
	for !w.pending {
		_, last, err := s.store.SchedulePending(ctx, w.at, many)
		if err != nil {
			return err
		}
		if w.at = last; last == (Position{}) {
			w.pending = true
		}
	}
	since := s.opts.Clock().Add(-s.opts.Rematch)
	for !w.matches && present.Digest != "" {
		waiting, err := s.store.CountWaitingJobs(ctx, MatchJob, maxMatches)
		if err != nil || waiting >= maxMatches {
			return err
		}
		_, last, err := s.store.ScheduleMatches(ctx, present, since, w.at, min(many, maxMatches-waiting))
		if err != nil {
			return err
		}
		if w.at = last; last == (Position{}) {
			break
		}
	}
	w.matches, w.endedAt = true, s.opts.Clock()
	return nil
}

// forget removes what is no longer kept.
func (s *Service) forget(ctx context.Context) error {
	for last := digest.Digest(""); ; {
		began := time.Now()
		_, next, err := s.store.ForgetScans(ctx, last, many)
		if err != nil {
			return err
		}
		if last = next; last == "" {
			break
		}
		if err := pause(ctx, time.Since(began)); err != nil {
			return err
		}
	}
	for {
		began := time.Now()
		n, err := s.store.ForgetLayers(ctx, layerAge, s.opts.Layers, many)
		if err != nil || n == 0 {
			return err
		}
		if err := pause(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}

// pause leaves the database to others for as long as a transaction took.
func pause(ctx context.Context, took time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(took):
		return nil
	}
}

// Progress is how far the scanning of all images has come.
type Progress struct {
	Databases []Database `json:"databases"`
	Workers   []Worker   `json:"workers"` // seen within the last ten minutes
	Totals
}

// Progress says how far the scanning of all images has come.
func (s *Service) Progress(ctx context.Context) (p Progress, err error) {
	if p.Databases, err = s.store.VulnerabilityDatabases(ctx); err != nil {
		return p, err
	}
	present, err := s.present(ctx)
	if err != nil {
		return p, err
	}
	if p.Workers, err = s.store.Workers(ctx, seenLately); err != nil {
		return p, err
	}
	p.Totals, err = s.store.CountScans(ctx, present.Digest)
	return p, err
}

// Databases lists the databases that workers go by.
func (s *Service) Databases(ctx context.Context) ([]Database, error) {
	return s.store.VulnerabilityDatabases(ctx)
}
