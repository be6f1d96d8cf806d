package scan

import (
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Status is how the scan of an image stands, in the words of Amazon ECR.
type Status string

// The statuses that berth gives. Unsupported images have nothing in them that could be
// looked at: a chart, a signature, an empty file system.
const (
	Pending     Status = "PENDING"
	InProgress  Status = "IN_PROGRESS"
	Complete    Status = "COMPLETE"
	Failed      Status = "FAILED"
	Unsupported Status = "UNSUPPORTED_IMAGE"
	Archived    Status = "IMAGE_ARCHIVED"
)

// Cause is why an image is scanned.
type Cause string

// The causes.
const (
	ByPush Cause = "push"
	ByHand Cause = "manual"
)

// Scan is what is known of the scan of an image in a repository, short of the findings.
type Scan struct {
	Repository  registry.Name
	Digest      digest.Digest
	Status      Status
	Reason      string // why Status is what it is, for people; empty if that says it all
	Cause       Cause
	RequestedAt time.Time
	CompletedAt time.Time // when it was last matched with a database; zero before
	InventoryAt time.Time // when the inventory was made; zero before
	Database    Database  // that the findings are from; zero before
	Counts      Counts    // of findings that no exception takes out; nil before the first findings

	// Platforms are those of an index, each with its own scan; nil for an image.
	Platforms []PlatformScan
}

// PlatformScan is the scan of one image of an index.
type PlatformScan struct {
	Platform string // such as linux/arm64/v8
	Scan
}

// Report is a scan with its findings.
type Report struct {
	Scan
	Scanner  string    // and its version, such as "trivy 0.72.0"
	OS       string    // such as "debian 12.5"; empty if it is not known
	Findings []Finding // in the order of [Sort]; of an index those of all its images, once each
	Excepted []Excepted
}

// Excepted is a finding that an exception or a VEX document has taken out.
type Excepted struct {
	Finding
	Reason string // why, for people
	By     string // "exception 12", or the digest of a VEX document
	Author string `json:",omitempty"`
	Until  time.Time
}

// DatabaseKind tells the vulnerability database from the index of Java archives.
type DatabaseKind string

// The kinds of databases.
const (
	Vulnerabilities DatabaseKind = "vulnerabilities"
	Java            DatabaseKind = "java"
)

// Database is a vulnerability database, or an index that helps to make inventories, as it
// lies in a repository of this registry.
type Database struct {
	Kind       DatabaseKind  `json:"kind"`
	Repository registry.Name `json:"repository"`
	Digest     digest.Digest `json:"digest"`        // of the manifest
	Layer      digest.Digest `json:"layer"`         // the blob that is the database
	UpdatedAt  time.Time     `json:"updatedAt"`     // when it was made
	NextUpdate time.Time     `json:"nextUpdate"`    // when a newer one is to be expected
	ImportedAt time.Time     `json:"importedAt"`    // when it came into the registry
	Source     string        `json:"source"`        // where it is from: a reference or the name of a file
	Version    int           `json:"schemaVersion"` // of its schema
}
