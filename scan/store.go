package scan

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/queue"
)

// Store is where scans are kept; storage/meta implements it. It is safe for concurrent use,
// and for several services at once, in one process or many. Methods about a repository answer
// registry.ErrNameUnknown if it is not there.
type Store interface {
	queue.Store // of the jobs

	// ScanStates says how the scans of some images of a repository stand, leaving out those
	// that are not there. An image that nobody wanted to be scanned has a state too.
	ScanStates(ctx context.Context, repo registry.Name, images []digest.Digest) ([]State, error)

	// ScanManifests returns the manifests of some images of a repository, archived or not,
	// leaving out those that are not there.
	ScanManifests(ctx context.Context, repo registry.Name, images []digest.Digest) ([]registry.Manifest, error)

	// RequestScans has images of a repository scanned that are still there, in one
	// transaction, but for those that are archived. Errors: ErrArchived if all are.
	RequestScans(ctx context.Context, repo registry.Name, requests []Request) error

	// ScanSummary returns what is kept of an image, whatever repository it is in.
	// Errors: ErrNotScanned.
	ScanSummary(ctx context.Context, d digest.Digest) (Summary, error)

	// ScanInventory and ScanFindings return what was found out about an image, compressed
	// as it was given to EndScan; nil if that is nothing.
	ScanInventory(ctx context.Context, d digest.Digest) ([]byte, error)
	ScanFindings(ctx context.Context, d digest.Digest) ([]byte, error)

	// ScanRepository says from where an image can be pulled: a repository in which
	// somebody wants it scanned, and in which it is not archived.
	// Errors: registry.ErrManifestUnknown.
	ScanRepository(ctx context.Context, d digest.Digest) (registry.Name, error)

	// LeasedScan returns the job of a lease, whichever server has given it.
	// Errors: queue.ErrLeaseLost.
	LeasedScan(ctx context.Context, id, lease int64) (queue.Job, error)

	// EndScan keeps what became of a job and removes it, in one transaction. seen is
	// MatchedAt of the summary that the outcome goes on from. If there is another database by
	// now than the outcome is from, it adds the job for that. An inventory that somebody wants
	// anew since the job was leased is still to be made.
	// Errors: queue.ErrLeaseLost, ErrChanged.
	EndScan(ctx context.Context, j queue.Job, seen time.Time, o Outcome) error

	// SchedulePending adds a job for images that wait to be scanned, can be, and have none. It
	// looks at up to limit of those that wait, the ones after a position, in one transaction,
	// and says at which last; the zero Position if there are no more.
	SchedulePending(ctx context.Context, after Position, limit int) (added int, last Position, err error)

	// ScheduleMatches likewise adds a job for images that have an inventory and whose findings
	// are not from the database, unless that was tried in vain. They have to be tagged, or
	// listed by an index that is, or have been pushed or pulled, or asked for, after since.
	ScheduleMatches(ctx context.Context, database Database, since time.Time, after Position, limit int) (added int, last Position, err error)

	// CountWaitingJobs counts the jobs of a kind that are neither done nor given up, up to limit.
	CountWaitingJobs(ctx context.Context, kind string, limit int) (int, error)

	// ForgetScans removes what is known of images that are in no repository any more, in one
	// transaction, looking at up to limit images after one. It says at which last, empty if
	// there are no more, and how many went.
	ForgetScans(ctx context.Context, after digest.Digest, limit int) (forgotten int, last digest.Digest, err error)

	// CountScans says how many images there are, by status and by database. present is the
	// digest of the present vulnerability database.
	CountScans(ctx context.Context, present digest.Digest) (Totals, error)

	// VulnerabilityDatabases lists the databases that workers go by, one of a kind.
	VulnerabilityDatabases(ctx context.Context) ([]Database, error)

	// NoteWorker keeps what a worker has said of itself, and forgets those not seen for a day.
	NoteWorker(ctx context.Context, w Worker) error

	// Workers lists those that were seen within a time, by name.
	Workers(ctx context.Context, within time.Duration) ([]Worker, error)

	// MissingLayers, Layer and PutLayer are those of [LayerCache]; what is not there is
	// registry.ErrNotSet.
	MissingLayers(ctx context.Context, keys []string) ([]string, error)
	Layer(ctx context.Context, key string) ([]byte, error)
	PutLayer(ctx context.Context, key string, content []byte) error

	// ForgetLayers removes up to limit layers that were not used for age, or that have been
	// used the longest time ago while all together have more than size bytes.
	ForgetLayers(ctx context.Context, age time.Duration, size int64, limit int) (forgotten int, err error)
}

// ErrChanged says that what is kept of an image has changed meanwhile.
var ErrChanged = errors.New("what is kept of the image has changed meanwhile")

// State is how the scan of an image or an index in a repository stands.
type State struct {
	Summary

	MediaType   string // of the manifest
	Archived    bool
	Cause       Cause
	RequestedAt time.Time // zero if nobody has wanted a scan

	Leased  bool   // a worker is at it
	Trouble string // why the last attempt has failed, if there will be another
}

// Summary is what is kept of an image, whatever repository it is in, short of its inventory
// and its findings.
type Summary struct {
	Digest      digest.Digest
	Status      Status // Pending, Complete, Failed or Unsupported; empty if there is nothing, as of an index
	Reason      string
	Scanner     string
	OS          string
	Packages    int
	InventoryAt time.Time // zero if there is none
	Anew        bool      // the next scan makes another inventory
	Counts      Counts    // nil before the first findings
	Blocking    Blocking
	Database    digest.Digest // that the findings are from
	DatabaseAt  time.Time     // when that was made; zero if it is not known
	MatchedAt   time.Time     // zero before the first findings
}

// Request asks for the scan of an image.
type Request struct {
	Digest digest.Digest
	Kind   ManifestKind
	Cause  Cause

	// Again has an image scanned that has findings from the present database.
	Again bool

	// Anew has another inventory made. The one that is there stays until then, or if it fails.
	Anew bool
}

// Outcome is what became of a job.
type Outcome struct {
	Status Status // empty: as it was
	Reason string

	Scanner   string
	Inventory []byte // compressed with gzip; nil leaves what is there
	OS        string // with an inventory
	Packages  int    // with an inventory

	Findings   []byte // compressed with gzip; nil leaves what is there
	Counts     Counts
	Blocking   Blocking
	Database   digest.Digest
	DatabaseAt time.Time

	// Tried is the database with which the image could not be matched: it is not tried again.
	Tried digest.Digest
}

// Position is where a walk through what is kept stands. The zero Position is its beginning.
type Position struct {
	Status   Status
	Database digest.Digest
	Digest   digest.Digest
}

// Totals is how many images there are of each kind. Each is counted once, in however many
// repositories it is; indexes are not counted.
type Totals struct {
	Statuses map[Status]int `json:"statuses"` // of Pending, Complete, Failed and Unsupported
	Current  int            `json:"current"`  // with findings from the present database
	Outdated int            `json:"outdated"` // with findings from another one
	Scanning int            `json:"scanning"` // jobs that workers are at
	Waiting  int            `json:"waiting"`  // jobs that wait for workers
}

// Worker is what a worker has last said of itself.
type Worker struct {
	Name      string                         `json:"name"`
	Scanner   string                         `json:"scanner"`
	Databases map[DatabaseKind]digest.Digest `json:"databases,omitempty"`
	Trouble   string                         `json:"trouble,omitempty"`
	SeenAt    time.Time                      `json:"seenAt"`
}
