package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Store is where the images, the policies and what runs come to are kept; storage/meta
// implements it. It is safe for concurrent use, and for several pruners at once, in one
// process or many. Methods about a repository answer registry.ErrNameUnknown if it is not
// there any more.
type Store interface {
	// WithLease calls do while nobody else has the lease of a name. held is false if
	// somebody has. The context of do ends when the lease is lost, and for a moment two may
	// believe that they have it.
	WithLease(ctx context.Context, name string, d time.Duration, do func(context.Context) error) (held bool, err error)

	// ScheduleLifecycle adds a job of kind [RunJob] for up to limit repositories that are due,
	// the longest first, which are due again after what next answers. It says how many.
	ScheduleLifecycle(ctx context.Context, limit int, next func() time.Duration) (int, error)

	// LifecycleSnapshot returns the images of a repository as they all are at one moment, and
	// the policy of that moment, empty if there is none.
	LifecycleSnapshot(ctx context.Context, repo registry.Name) (Snapshot, error)

	// BeginLifecycleRun notes that a run begins, or that one which was cut off is taken up
	// again, of the policy of the repository. The repository is due again after next.
	// Errors: registry.ErrNotSet without a policy.
	BeginLifecycleRun(ctx context.Context, repo registry.Name, forced bool, next time.Duration) (Run, error)

	// ApplyLifecycle does, in one transaction, those of the steps whose images are as they
	// were when it was decided, and notes what it has done. If running is not nil, it is the images
	// that ran then, and none are if others have come to run. Errors: ErrPolicyChanged.
	ApplyLifecycle(ctx context.Context, run Run, running map[digest.Digest]bool, steps []Step) (Applied, error)

	// EndLifecycleRun notes what became of a run. If soon is not zero, the repository is due
	// after that.
	EndLifecycleRun(ctx context.Context, run Run, soon time.Duration) (Run, error)

	// LifecycleRuns lists runs on a repository, the latest first: at most limit, those before
	// the run before, if that is not zero.
	LifecycleRuns(ctx context.Context, repo registry.Name, before int64, limit int) ([]Run, error)

	// LifecycleEvents lists what became of images of a repository in the same way.
	LifecycleEvents(ctx context.Context, repo registry.Name, before int64, limit int) ([]Event, error)

	// ForgetLifecycle removes, in one transaction, up to limit of what is no longer kept: events
	// and runs that are older than age, and results of previews that have had their time.
	ForgetLifecycle(ctx context.Context, age time.Duration, limit int) (forgotten int, err error)

	// LifecyclePreviewPolicy returns the policy that a preview is to try out.
	// Errors: ErrPreviewGone.
	LifecyclePreviewPolicy(ctx context.Context, id int64) (text string, err error)

	// EndLifecyclePreview keeps the results of a preview, in several transactions, or why it
	// has failed. Errors: ErrPreviewGone.
	EndLifecyclePreview(ctx context.Context, id int64, p Preview) error
}

// What a [Store] answers.
var (
	ErrPolicyChanged = errors.New("the lifecycle policy has changed or is gone")
	ErrPreviewGone   = errors.New("another preview has followed this one")
)

// The kinds of jobs of a [Pruner].
const (
	RunJob     = "lifecycle-run"     // holds a policy against the images of a repository; its key is the name
	PreviewJob = "lifecycle-preview" // tries a policy out
)

// RunPayload is what a job of kind RunJob is about.
type RunPayload struct {
	Repository registry.Name `json:"repository"`
}

// PreviewPayload is what a job of kind PreviewJob is about.
type PreviewPayload struct {
	Repository registry.Name `json:"repository"`
	ID         int64         `json:"preview"`
}

// Snapshot is a repository at one moment.
type Snapshot struct {
	RepositoryID int64 // a repository of the same name that is made later has another one
	Policy       string
	Images       []Image
	At           time.Time
	Unreported   bool // no cluster has said what it runs, so that no image has RunningIn
}

// Step is what goes together or stays together: an image that a rule has taken, and what
// goes with it.
type Step struct {
	Decisions []Decision // that of a rule first

	// Known are images that refer to those of the step, and are not in it. Others have come
	// since.
	Known []digest.Digest
}

// Applied is what a transaction or a run has done.
type Applied struct {
	Expired  int `json:"expired"`  // images
	Archived int `json:"archived"` // images
	Untagged int `json:"untagged"` // tags that expired, whose images stay
	Skipped  int `json:"skipped"`  // images that have changed since it was decided
}

// Add adds what another transaction has done.
func (a *Applied) Add(b Applied) {
	a.Expired += b.Expired
	a.Archived += b.Archived
	a.Untagged += b.Untagged
	a.Skipped += b.Skipped
}

// State is what has become of a run or a preview.
type State string

// The states. What is running has not ended: somebody is at it, or will take it up again.
const (
	Running    State = "running"
	Done       State = "done"
	Stopped    State = "stopped"    // it might have deleted too much, and has done nothing
	Superseded State = "superseded" // the policy has changed or is gone
	Failed     State = "failed"     // the policy cannot be read
)

// Run is a policy that was held against the images of a repository.
type Run struct {
	ID           int64         `json:"run"`
	Repository   registry.Name `json:"repository"`
	RepositoryID int64         `json:"-"`
	Policy       string        `json:"-"` // while it is running
	Forced       bool          `json:"forced,omitempty"`
	State        State         `json:"state"`
	Reason       string        `json:"reason,omitempty"` // why it has not done all
	Attempts     int           `json:"attempts"`         // more than one if it was cut off
	BeganAt      time.Time     `json:"beganAt"`
	EndedAt      time.Time     `json:"endedAt,omitzero"`

	Images  int `json:"images"`  // in the repository when it was decided, the last time
	Blocked int `json:"blocked"` // that go when an index which lists them has gone
	Applied
}

// Event is what became of an image, or of tags of it.
type Event struct {
	ID         int64          `json:"event"`
	Run        int64          `json:"run"`
	Repository registry.Name  `json:"repository"`
	Digest     digest.Digest  `json:"digest"`
	Tags       []registry.Tag `json:"tags,omitempty"` // of the image; those that expired if it stays
	Rule       int            `json:"rule"`
	Action     Action         `json:"action"`
	Why        string         `json:"why"`
	At         time.Time      `json:"at"`
}

// Preview is what a policy would do.
type Preview struct {
	State    State
	Reason   string     // why it has failed
	Archives bool       // whether a rule archives
	Taken    []Decision // what would go
}
