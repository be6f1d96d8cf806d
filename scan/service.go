package scan

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/queue"
)

// DefaultRematch is how long after its last push or pull an image is matched with new
// databases although no tag names it.
const DefaultRematch = 90 * 24 * time.Hour

// Options are the knobs of a [Service]. The zero value works.
type Options struct {
	// Rematch is how long after its last push or pull an untagged image is matched with
	// new databases; zero means DefaultRematch.
	Rematch time.Duration

	// Lease is how long a job is leased before the worker has to extend that. If it dies,
	// another worker gets the job then. Zero means a minute.
	Lease time.Duration

	// Layers is how many bytes of what was found in layers are kept; zero means 2 GiB.
	Layers int64

	// Except, if set, says which findings of an image in a repository exceptions or VEX
	// documents take out. It calls findings only if there are any that might, and must not
	// change what that returns. See [Gatekeeper.Except].
	Except func(ctx context.Context, repo registry.Name, d digest.Digest, findings func() ([]Finding, error)) (excepted []Excepted, err error)

	// Backoff is how long a job waits after a number of failed attempts; nil means
	// [queue.Backoff] of two more, which is some seconds.
	Backoff func(attempts int) time.Duration

	Logger *slog.Logger
	Clock  func() time.Time // nil means time.Now

	// Observe, if set, is told how each attempt at a job has ended, and how long after the
	// job was asked for.
	Observe func(kind string, o JobOutcome, took time.Duration)
}

// JobOutcome is how an attempt at a job has ended.
type JobOutcome string

// The outcomes. A job is dropped if there is nothing to do for it any more, as when its image was
// deleted.
const (
	JobDone    JobOutcome = "done"
	JobRetried JobOutcome = "retried"
	JobFailed  JobOutcome = "failed"
	JobDropped JobOutcome = "dropped"
)

// Service is the part of scanning that runs inside the registry. It is safe for concurrent
// use, and there may be several with the same store.
type Service struct {
	store Store
	opts  Options

	mu    sync.Mutex
	heard map[string]Worker // what workers have said of themselves, as it was last kept
}

var _ Scans = (*Service)(nil)

// NewService returns the service of what is kept in s.
func NewService(s Store, opts Options) *Service {
	if opts.Rematch == 0 {
		opts.Rematch = DefaultRematch
	}
	if opts.Lease == 0 {
		opts.Lease = time.Minute
	}
	if opts.Layers == 0 {
		opts.Layers = 2 << 30
	}
	if opts.Backoff == nil {
		opts.Backoff = func(attempts int) time.Duration { return queue.Backoff(attempts + 2) }
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Observe == nil {
		opts.Observe = func(string, JobOutcome, time.Duration) {}
	}
	return &Service{store: s, opts: opts, heard: map[string]Worker{}}
}
