package scan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/queue"
)

// ErrResultInvalid says that a worker has sent something that cannot be true.
var ErrResultInvalid = errors.New("what the worker says cannot be")

// invalidError is ErrResultInvalid with a sentence.
type invalidError string

func (e invalidError) Error() string        { return string(e) }
func (e invalidError) Is(target error) bool { return target == ErrResultInvalid }

// maxFindings bounds the findings of an image; real ones have some thousand.
const maxFindings = 200_000

// Finish keeps the result of a job, and removes the job.
// Errors: queue.ErrLeaseLost, ErrResultInvalid.
func (s *Service) Finish(ctx context.Context, id int64, lease string, r Result) error {
	j, d, err := s.leased(ctx, id, lease)
	if err != nil {
		return err
	}
	if err := check(&r, j, d); err != nil {
		return err
	}
	inventory := []byte(nil)
	if len(r.Inventory) > 0 {
		if inventory, err = compress(r.Inventory); err != nil {
			return err
		}
	}
	for {
		err := s.finish(ctx, j, d, r, inventory)
		if !errors.Is(err, ErrChanged) {
			if err == nil {
				s.observe(j, JobDone)
			}
			return err
		}
	}
}

// check refuses a result that is not one of the job, and puts right what only looks odd.
func check(r *Result, j queue.Job, d digest.Digest) error {
	switch {
	case r.Digest != d:
		return invalidError("job " + j.Key + " is about another image than the result, which is of " + registry.Clip(string(r.Digest)))
	case len(r.Inventory) == 0 && r.Findings == nil:
		return invalidError("the result has neither an inventory nor findings")
	case j.Kind == MatchJob && r.Findings == nil:
		return invalidError("the job was to match the inventory, and the result has no findings")
	case len(r.Inventory) > MaxInventory:
		return invalidError("the inventory is larger than 64 MiB")
	case r.Findings != nil && r.Database.Validate() != nil:
		return invalidError("the result does not say which database its findings are from")
	case len(r.Findings) > maxFindings:
		return invalidError("there are more than 200,000 findings")
	case r.Packages < 0:
		return invalidError("there cannot be fewer than no packages")
	}
	if len(r.Inventory) > 0 && !isCycloneDX(r.Inventory) {
		return invalidError("the inventory is not a CycloneDX document in JSON")
	}
	r.Scanner, r.OS = queue.Reason(r.Scanner), queue.Reason(r.OS)
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.ID == "" || f.Package.Name == "" {
			return invalidError("a finding lacks the name of the vulnerability or of the package")
		}
		if !slices.Contains(severities, f.Severity) {
			f.Severity = Undefined
		}
	}
	return nil
}

func isCycloneDX(inventory []byte) bool {
	var doc struct {
		Format string `json:"bomFormat"`
	}
	return json.Unmarshal(inventory, &doc) == nil && doc.Format == "CycloneDX" && !bytes.ContainsRune(inventory, 0)
}

// finish is one try at keeping a result. Errors: ErrChanged.
func (s *Service) finish(ctx context.Context, j queue.Job, d digest.Digest, r Result, inventory []byte) error {
	was, err := s.store.ScanSummary(ctx, d)
	if errors.Is(err, ErrNotScanned) {
		return s.drop(ctx, j) // nobody wants to know any more
	}
	if err != nil {
		return err
	}
	if inventory == nil && was.InventoryAt.IsZero() {
		return invalidError("there are findings and no inventory that they could be from")
	}
	o := Outcome{Status: Pending, Scanner: r.Scanner, Inventory: inventory, OS: r.OS, Packages: r.Packages}
	if r.Findings != nil {
		o.Status = Complete
		if err := s.addFindings(ctx, &o, was, r); err != nil {
			return err
		}
	}
	return s.store.EndScan(ctx, j, was.MatchedAt, o)
}

// addFindings adds the findings of a result to an outcome, unless they are from an older
// database than those that are there.
func (s *Service) addFindings(ctx context.Context, o *Outcome, was Summary, r Result) error {
	present, err := s.present(ctx)
	if err != nil {
		return err
	}
	if was.Database == present.Digest && r.Database != present.Digest && was.Database != "" {
		return nil
	}
	var old []Finding
	if !was.MatchedAt.IsZero() {
		if old, err = s.findings(ctx, was.Digest); err != nil {
			return err
		}
	}
	findings := dated(r.Findings, old, s.opts.Clock().UTC())
	if o.Findings, err = keepFindings(findings); err != nil {
		return err
	}
	o.Counts, o.Blocking, o.Database = Count(findings), SumUp(findings), r.Database
	if r.Database == present.Digest {
		o.DatabaseAt = present.UpdatedAt
	}
	return nil
}

// dated are findings in order, once each, with the times when they were first found: as the
// findings before say, or now. What vanished and has come back is found anew.
func dated(findings, before []Finding, now time.Time) []Finding {
	since := make(map[string]time.Time, len(before))
	for _, f := range before {
		since[f.Key()] = f.FirstFoundAt
	}
	all := make([]Finding, 0, len(findings))
	seen := make(map[string]bool, len(findings))
	for _, f := range findings {
		key := f.Key()
		if seen[key] {
			continue
		}
		seen[key] = true
		f.FirstFoundAt = now
		if at, there := since[key]; there {
			f.FirstFoundAt = at
		}
		all = append(all, f)
	}
	Sort(all)
	return all
}

// Fail notes that a job has failed. It is tried again, unless that would be of no use.
// Errors: queue.ErrLeaseLost.
func (s *Service) Fail(ctx context.Context, id int64, lease string, f Failure) error {
	j, d, err := s.leased(ctx, id, lease)
	if err != nil {
		return err
	}
	reason := queue.Reason(f.Reason)
	if reason == "" {
		reason = "the worker gave no reason"
	}
	status := Failed
	switch {
	case f.Unsupported && j.Kind == ScanJob:
		status = Unsupported
	case !f.Permanent && !f.Unsupported && j.Attempts < maxAttempts:
		err := s.store.RetryJob(ctx, j, s.opts.Backoff(j.Attempts), reason)
		if err == nil {
			s.observe(j, JobRetried)
		}
		return err
	}
	was, err := s.store.ScanSummary(ctx, d)
	if errors.Is(err, ErrNotScanned) {
		return s.drop(ctx, j)
	}
	if err != nil {
		return err
	}
	return s.fail(ctx, j, was, status, reason)
}

// fail ends a job that has failed for good. What was found before stays. If the image only could
// not be matched with a newer database, its status stays too.
func (s *Service) fail(ctx context.Context, j queue.Job, was Summary, status Status, reason string) error {
	present, err := s.present(ctx)
	if err != nil {
		return err
	}
	o := Outcome{Status: status, Reason: reason, Scanner: was.Scanner, Tried: present.Digest}
	if j.Kind == MatchJob {
		o.Status, o.Reason = "", "it could not be matched with a newer database: "+reason
	}
	for {
		err := s.store.EndScan(ctx, j, was.MatchedAt, o)
		if errors.Is(err, ErrChanged) {
			if was, err = s.store.ScanSummary(ctx, was.Digest); err == nil {
				continue
			}
			if errors.Is(err, ErrNotScanned) {
				return s.drop(ctx, j)
			}
		}
		if err != nil {
			return err
		}
		s.observe(j, JobFailed)
		s.opts.Logger.WarnContext(ctx, "an image could not be scanned", "digest", was.Digest, "kind", j.Kind,
			"attempts", j.Attempts, "reason", reason)
		return nil
	}
}
