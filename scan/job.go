package scan

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// The kinds of jobs, as the queue has them. Those that somebody waits for go first.
const (
	ScanJob  = "scan"         // of an image that was pushed, or that somebody has asked for
	MatchJob = "scan-rematch" // of an inventory with a newer database
)

// JobPayload is what the queue keeps of a job. Its key is the digest.
type JobPayload struct {
	Digest digest.Digest `json:"digest"`
}

// LeaseRequest is what a worker says of itself when it asks for a job.
type LeaseRequest struct {
	Worker  string        `json:"worker"`  // a name of its own, such as host and process
	Scanner string        `json:"scanner"` // "trivy 0.72.0"
	Wait    time.Duration `json:"wait"`    // how long to wait for a job, at most a minute

	// Databases are those that the worker has open, by kind. A worker that cannot open
	// the present one says why, for the operator.
	Databases map[DatabaseKind]digest.Digest `json:"databases,omitempty"`
	Trouble   string                         `json:"trouble,omitempty"`
}

// Job is what a worker is to do, under a lease.
type Job struct {
	ID    int64  `json:"id"`
	Lease string `json:"lease"` // secret of this lease, to be shown with whatever is said of the job

	Repository registry.Name `json:"repository"` // to pull from
	Digest     digest.Digest `json:"digest"`     // of the image; never an index
	Token      string        `json:"token"`      // bearer token for pulling from Repository, for as long as the lease and some minutes more

	// HasInventory says that the first step was done before: the worker gets the inventory
	// and pulls nothing.
	HasInventory bool `json:"hasInventory"`

	// Match says that there is a database, so the second step can be done.
	Match bool `json:"match"`

	Expires time.Duration `json:"expires"` // the length of the lease; extend it before
	Attempt int           `json:"attempt"` // 1 the first time
}

// Result is what a worker found out. Either Inventory or Findings may be missing if that
// step was not to be done.
type Result struct {
	Digest    digest.Digest   `json:"digest"` // of the image, which has to be that of the job
	Scanner   string          `json:"scanner"`
	OS        string          `json:"os,omitempty"`
	Inventory json.RawMessage `json:"inventory,omitempty"` // CycloneDX
	Packages  int             `json:"packages"`            // in the inventory

	Database digest.Digest `json:"database,omitempty"` // manifest of the database that was matched with
	Findings []Finding     `json:"findings"`           // null if the second step was not done
}

// Failure is how a job ended that has no result.
type Failure struct {
	Reason string `json:"reason"` // for people

	// Unsupported says that there is nothing in the image that could be looked at.
	// Permanent says that another attempt would only meet the same.
	Unsupported bool `json:"unsupported,omitempty"`
	Permanent   bool `json:"permanent,omitempty"`
}

// Limits on what workers send, in bytes.
const (
	MaxInventory = 64 << 20
	MaxFindings  = 64 << 20
	MaxLayer     = 64 << 20 // of what is cached about one
)

// InventoryMediaType is that of inventories.
const InventoryMediaType = "application/vnd.cyclonedx+json"
