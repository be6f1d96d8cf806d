package scan

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/storage/queue"
)

const (
	// scheduleEvery is how often a service looks whether there is a new database, or room for
	// more jobs.
	scheduleEvery = 2 * time.Second

	// walkEvery is how often it goes through all images although there is no new database:
	// some may have been pulled since, and be worth matching again.
	walkEvery = time.Hour

	// maxMatches is how many jobs may be queued that nobody waits for. The other images stay
	// in their table, where they can be counted and do not slow down the queue.
	maxMatches = 300

	// batch is how many images are looked at in one transaction.
	batch = 100

	// layerAge is how long what was found in a layer is kept after it was used.
	layerAge = 30 * 24 * time.Hour
)

// walk is how far a service has come in making jobs for the images that are to be scanned or
// matched.
type walk struct {
	database  digest.Digest // that it is for
	pending   bool          // it is through with images that wait for a scan
	matches   bool          // and with those that have findings from another database
	at        Position
	endedAt   time.Time
	forgotten time.Time // when what is no longer kept was removed
}

// Run has images matched again when there is another database, and forgets what nobody needs
// any more, until ctx ends.
func (s *Service) Run(ctx context.Context, alone queue.Alone) {
	var w walk
	for {
		if err := s.step(ctx, &w, alone); err != nil && ctx.Err() == nil {
			s.opts.Logger.WarnContext(ctx, "images cannot be scheduled for scans; they wait until the next attempt", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(scheduleEvery):
		}
	}
}

// step does what there is to do, which is mostly nothing.
func (s *Service) step(ctx context.Context, w *walk, alone queue.Alone) error {
	present, err := s.present(ctx)
	if err != nil {
		return err
	}
	now := s.opts.Clock()
	if present.Digest != w.database || now.Sub(w.endedAt) >= walkEvery && w.pending && w.matches {
		*w = walk{database: present.Digest, forgotten: w.forgotten}
	}
	forget := now.Sub(w.forgotten) >= walkEvery
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

// Schedule makes jobs for the images that wait for one, as far as there is room for them.
// [Service.Run] does so by itself.
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
		_, last, err := s.store.SchedulePending(ctx, w.at, batch)
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
		_, last, err := s.store.ScheduleMatches(ctx, present, since, w.at, min(batch, maxMatches-waiting))
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
		_, next, err := s.store.ForgetScans(ctx, last, batch)
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
		n, err := s.store.ForgetLayers(ctx, layerAge, s.opts.Layers, batch)
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
