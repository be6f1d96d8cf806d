// Package queue is about jobs: work that follows from a change and is done after it,
// surely and in the background. The change and its job are written in one transaction;
// a [Worker], of this process or another one, then does the job until it succeeds.
//
// A job is done at least once, and now and then more than once: whoever does it may
// die after the work and before the word that it is done. A [Handler] therefore has to
// be idempotent. While a worker has a job it holds a lease, which runs out if the
// worker dies or stands still; then another one gets the job, and whatever the first
// still says about it is refused with [ErrLeaseLost].
//
//	waiting ──LeaseJob──▶ leased ──FinishJob──▶ gone
//	   ▲                    │
//	   ├── RetryJob, PostponeJob, ReleaseJob, the lease runs out
//	   │                    │
//	   └─RequeueJob── failed ◀──GiveUpJob
//
// The package knows neither databases nor what the jobs are about. storage/meta keeps
// them, queuetest says what keeping them means.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// What a [Store] answers.
var (
	ErrNothingDue = errors.New("queue: no job is due")
	ErrLeaseLost  = errors.New("queue: the lease has been lost")
	ErrJobUnknown = errors.New("no such job")
	ErrJobLeased  = errors.New("the job is being done")
)

// State is where a job stands.
type State string

// A failed job has been given up; nobody does it until somebody requeues it.
const (
	Waiting State = "waiting"
	Leased  State = "leased"
	Failed  State = "failed"
)

// NewJob is a job that does not exist yet.
type NewJob struct {
	Kind    string // chooses the handler
	Payload any    // becomes JSON

	// Key, if it is set, says what the job is about: while a job of the same kind and
	// key waits, another one is not added. Of two times the earlier counts, unless what
	// waits has failed already and waits for its next attempt. The payload stays as it
	// was, so it should follow from the key.
	Key string

	DueAt time.Time // by the clock of this process; zero means now
}

// Job is a job as it is kept.
type Job struct {
	ID        int64
	Kind      string
	Key       string
	Payload   json.RawMessage
	State     State
	Attempts  int       // leases that counted, since it was added or requeued
	DueAt     time.Time // of a leased job when the lease ends, of a failed one when it was given up
	CreatedAt time.Time
	Reason    string // why the last attempt failed or was put off, or empty

	// Lease tells this lease from every other one, of any job: the fence.
	Lease int64
}

// Filter chooses jobs. The zero Filter chooses all.
type Filter struct {
	State State
	Kind  string
}

// Store keeps jobs. It is safe for concurrent use by many workers in many processes.
// It goes by a clock of its own, so that theirs need not agree.
//
// Methods that are given a job from LeaseJob answer ErrLeaseLost, and change nothing,
// if the lease is no longer the job's. A lease that has run out is the job's until
// somebody else leases it.
type Store interface {
	// LeaseJob leases, for d, the job of one of these kinds that has been due for the
	// longest, leaving out what others are just about to lease. A job whose lease has run
	// out is due from then on. Errors: ErrNothingDue.
	LeaseJob(ctx context.Context, kinds []string, d time.Duration) (Job, error)

	// ExtendJob has the lease end in d.
	ExtendJob(ctx context.Context, j Job, d time.Duration) error

	// FinishJob removes a job that is done.
	FinishJob(ctx context.Context, j Job) error

	// RetryJob has a job wait for d, and says why. If a job of the same kind and key
	// waits already, that one stands for both, due at the earlier of their times.
	RetryJob(ctx context.Context, j Job, d time.Duration, reason string) error

	// PostponeJob is a RetryJob that does not count the lease as an attempt.
	PostponeJob(ctx context.Context, j Job, d time.Duration, reason string) error

	// ReleaseJob makes a job due at once, as if it had not been leased: it does not
	// count as an attempt. With a key it goes as for RetryJob.
	ReleaseJob(ctx context.Context, j Job) error

	// GiveUpJob makes a job a failed one.
	GiveUpJob(ctx context.Context, j Job, reason string) error

	// Jobs lists jobs by id: at most limit of them, those after the id after. A page
	// shorter than limit is the last. Lease is not set.
	Jobs(ctx context.Context, f Filter, after int64, limit int) ([]Job, error)

	// CountJobs says how many jobs there are in each state.
	CountJobs(ctx context.Context) (map[State]int, error)

	// RequeueJob makes a job that has failed, or waits, due at once and forgets its
	// attempts. With a key it goes as for RetryJob.
	// Errors: ErrJobUnknown, ErrJobLeased.
	RequeueJob(ctx context.Context, id int64) error

	// RequeueFailedJobs does so with all failed jobs, not in one transaction, and says
	// how many.
	RequeueFailedJobs(ctx context.Context) (int, error)

	// JobsDue returns a channel that is closed when, after this call, jobs may have
	// become due because somebody has added them or made them so. What becomes due by
	// the passing of time, and now and then what another process has done, does not
	// close it: it saves waiting, and whoever relies on it has to look by himself too.
	JobsDue() <-chan struct{}
}
