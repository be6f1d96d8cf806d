// Package gc removes what nothing mentions any more: a blob from a repository of which no
// manifest names it, and its bytes when no repository sees it. It never looks for garbage:
// whoever lets go of a blob says so in the transaction of the change (storage/meta), and
// what a sweep costs is in proportion to what it removes.
//
// A blob is left alone for a while, the grace, since it was last pushed, mounted, named by a
// manifest or seen to be there by somebody who may push: clients ask what they need not push,
// and only then push the manifest that names it. What is over by then is looked at once more
// in the transaction that removes it. So a push that races with a sweep finds the blob and
// keeps it, or hears that it is gone before it can refer to it. The bytes go after the rows,
// as jobs (see storage/queue), so that a crash in between loses nothing and leaks nothing.
//
// Images are not garbage, tagged or not. They stay until somebody or a lifecycle policy
// deletes them. A deleted one can be restored while its bytes are there, that is for the grace;
// then what is known of it goes too, and in the same rounds what is told of the tags of old.
package gc

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Store is what the rows are in; storage/meta implements it. It is safe for concurrent use,
// and for several sweepers at once, in one process or many.
type Store interface {
	// Now is the time by the one clock that all servers share.
	Now(ctx context.Context) (time.Time, error)

	// Sweep removes, in one transaction, up to limit of what has been garbage since before,
	// the oldest first, and has the objects removed after it. Images that were deleted before
	// are forgotten.
	Sweep(ctx context.Context, before time.Time, limit int) (Swept, error)

	// ForgetTagChanges removes up to limit of the oldest changes of tags, of those that were
	// made before a time.
	ForgetTagChanges(ctx context.Context, before time.Time, limit int) (Swept, error)

	// GCState returns what ChangeGCState has made of it, the zero State before the first time.
	GCState(ctx context.Context) (State, error)

	// ChangeGCState lets change alter the state in one transaction.
	ChangeGCState(ctx context.Context, change func(*State)) error
}

// Swept is what a sweep has done.
type Swept struct {
	Candidates int   `json:"candidates"` // that were looked at
	Links      int   `json:"links"`      // blobs that a repository does not see any more
	Blobs      int   `json:"blobs"`      // that are gone altogether
	Bytes      int64 `json:"bytes"`      // theirs
	Images     int   `json:"images"`     // deleted ones that cannot be restored any more
	TagChanges int   `json:"tagChanges"` // that are not told of any more
}

func (s *Swept) add(t Swept) {
	s.Candidates += t.Candidates
	s.Links += t.Links
	s.Blobs += t.Blobs
	s.Bytes += t.Bytes
	s.Images += t.Images
	s.TagChanges += t.TagChanges
}

// State is what those who run a registry are told of its garbage collection, and tell it.
type State struct {
	PausedAt time.Time `json:"pausedAt,omitzero"` // zero if it is not paused

	Grace time.Duration `json:"grace,omitempty"` // of the server that has begun to sweep last, in nanoseconds
	Last  Run           `json:"last,omitzero"`   // the last sweep that found something
	Total Swept         `json:"total"`           // since the registry was made
}

// Run is a sweep of all that was due.
type Run struct {
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	Swept
}

// Candidate is what becomes garbage, or is.
type Candidate struct {
	Repository registry.Name `json:"repository,omitempty"` // that sees the blob; empty if none does
	Digest     digest.Digest `json:"digest"`
	Size       int64         `json:"size"`
	Since      time.Time     `json:"since"`
}
