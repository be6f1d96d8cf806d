package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/queue"
)

const (
	// maxAttempts is how often a job is tried. An image that has killed three workers would
	// kill every other one too.
	maxAttempts = 3

	// maxWait is how long a worker is kept waiting for a job at the most, and poll how often
	// the store is asked meanwhile, even if it has not said that a job is due.
	maxWait = time.Minute
	poll    = 2 * time.Second
)

// Lease leases a job for a worker, after waiting for one if need be. Its Token is not set.
// Errors: queue.ErrNothingDue, also as soon as the vulnerability database is replaced: the
// worker should fetch the new one.
func (s *Service) Lease(ctx context.Context, r LeaseRequest) (Job, error) {
	until := time.NewTimer(max(0, min(r.Wait, maxWait)))
	defer until.Stop()
	var first digest.Digest
	for n := 0; ; n++ {
		due := s.store.JobsDue() // before looking, so that nothing is missed in between
		if err := s.hear(ctx, r); err != nil {
			return Job{}, err
		}
		present, err := s.present(ctx)
		if err != nil {
			return Job{}, err
		}
		if n == 0 {
			first = present.Digest
		}
		j, err := s.lease(ctx, r, present)
		if !errors.Is(err, queue.ErrNothingDue) || present.Digest != first {
			return j, err
		}
		select {
		case <-ctx.Done():
			return Job{}, context.Cause(ctx)
		case <-until.C:
			return Job{}, err
		case <-due:
		case <-time.After(poll):
		}
	}
}

// lease leases a job, first those that somebody waits for. A worker that has no database
// although there is one gets none: it is about to fetch it, and can do both steps then. One that
// has another database than the present one gets no MatchJob, which would have to be done again.
func (s *Service) lease(ctx context.Context, r LeaseRequest, present Database) (Job, error) {
	has := r.Databases[Vulnerabilities]
	kinds := []string{ScanJob}
	switch {
	case present.Digest != "" && has == "":
		return Job{}, queue.ErrNothingDue
	case present.Digest != "" && has == present.Digest:
		kinds = append(kinds, MatchJob)
	}
	for _, kind := range kinds {
		for {
			kept, err := s.store.LeaseJob(ctx, []string{kind}, s.opts.Lease)
			if errors.Is(err, queue.ErrNothingDue) {
				break
			}
			if err != nil {
				return Job{}, err
			}
			j, err := s.job(ctx, kept, present)
			switch {
			case err != nil:
				// It is due again when the lease runs out, if this fails too.
				return Job{}, errors.Join(err, s.store.ReleaseJob(context.WithoutCancel(ctx), kept))
			case j != nil:
				return *j, nil
			}
		}
	}
	return Job{}, queue.ErrNothingDue
}

// job is what a worker is to do for a leased job. It is nil if there is nothing to do; then
// the job has been removed.
func (s *Service) job(ctx context.Context, kept queue.Job, present Database) (*Job, error) {
	d, err := aboutDigest(kept)
	if err != nil {
		return nil, s.drop(ctx, kept)
	}
	repo, err := s.store.ScanRepository(ctx, d)
	if errors.Is(err, registry.ErrManifestUnknown) {
		return nil, s.drop(ctx, kept) // deleted, or archived; a later push asks again
	}
	if err != nil {
		return nil, err
	}
	summary, err := s.store.ScanSummary(ctx, d)
	if errors.Is(err, ErrNotScanned) {
		return nil, s.drop(ctx, kept)
	}
	if err != nil {
		return nil, err
	}
	if kept.Attempts > maxAttempts {
		reason := "the worker died three times while scanning it"
		if kept.Reason != "" {
			reason += "; before that: " + kept.Reason
		}
		return nil, s.fail(ctx, kept, summary, Failed, reason)
	}
	j := Job{
		ID: kept.ID, Lease: formatLease(kept.Lease), Repository: repo, Digest: d,
		HasInventory: !summary.InventoryAt.IsZero() && !summary.Anew, Match: present.Digest != "",
		Expires: s.opts.Lease, Attempt: kept.Attempts,
	}
	if j.HasInventory && !j.Match {
		return nil, s.drop(ctx, kept) // it is taken up again when there is a database
	}
	return &j, nil
}

// drop removes a job that there is nothing to do for.
func (s *Service) drop(ctx context.Context, j queue.Job) error {
	err := s.store.FinishJob(ctx, j)
	if err == nil {
		s.observe(j, JobDropped)
	}
	return err
}

func (s *Service) observe(j queue.Job, o JobOutcome) {
	s.opts.Observe(j.Kind, o, s.opts.Clock().Sub(j.CreatedAt))
}

// aboutDigest is the digest that a job is about.
func aboutDigest(j queue.Job) (digest.Digest, error) {
	var p JobPayload
	if err := json.Unmarshal(j.Payload, &p); err != nil {
		return "", fmt.Errorf("the payload of job %d: %w", j.ID, err)
	}
	return p.Digest, p.Digest.Validate()
}

// Leases are shown as text: they have more digits than numbers in JSON keep.
func formatLease(lease int64) string { return strconv.FormatInt(lease, 36) }

// leased finds the job of a lease. Errors: queue.ErrLeaseLost.
func (s *Service) leased(ctx context.Context, id int64, lease string) (queue.Job, digest.Digest, error) {
	n, err := strconv.ParseInt(lease, 36, 64)
	if err != nil {
		return queue.Job{}, "", queue.ErrLeaseLost
	}
	j, err := s.store.LeasedScan(ctx, id, n)
	if err != nil {
		return j, "", err
	}
	d, err := aboutDigest(j)
	return j, d, err
}

// Extend extends a lease. It returns how long that lasts from now on, and a repository that the
// image can be pulled from. Errors: queue.ErrLeaseLost, also if the image is gone.
func (s *Service) Extend(ctx context.Context, id int64, lease string) (time.Duration, registry.Name, error) {
	j, d, err := s.leased(ctx, id, lease)
	if err != nil {
		return 0, "", err
	}
	repo, err := s.store.ScanRepository(ctx, d)
	if errors.Is(err, registry.ErrManifestUnknown) {
		if err := s.drop(ctx, j); err != nil {
			return 0, "", err
		}
		return 0, "", queue.ErrLeaseLost
	}
	if err == nil {
		err = s.store.ExtendJob(ctx, j, s.opts.Lease)
	}
	return s.opts.Lease, repo, err
}

// Release gives back a job whose worker was never told of it.
func (s *Service) Release(ctx context.Context, id int64, lease string) error {
	j, _, err := s.leased(ctx, id, lease)
	if err != nil {
		return err
	}
	return s.store.ReleaseJob(ctx, j)
}

// JobInventory returns the inventory of the image that a job is about.
// Errors: queue.ErrLeaseLost, ErrNotScanned if there is none.
func (s *Service) JobInventory(ctx context.Context, id int64, lease string) (json.RawMessage, error) {
	_, d, err := s.leased(ctx, id, lease)
	if err != nil {
		return nil, err
	}
	return s.inventory(ctx, d)
}
