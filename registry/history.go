package registry

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// TagChange is one time that a tag came to point elsewhere.
type TagChange struct {
	ID     int64 // grows from change to change
	Tag    Tag
	Was    digest.Digest // what it pointed at before; empty if it was not there
	Digest digest.Digest // and from then on; empty if it went
	At     time.Time     // zero if it is older than what is known of the tag
	Cause
}

// TagHistoryQuery asks for a page of the changes of the tags of a repository, the newest
// first.
type TagHistoryQuery struct {
	Tag   Tag   // empty: all
	Last  int64 // ID of the last change of the page before; zero for the first page
	Limit int
}

// DeletedImage is an image that was deleted and whose bytes may still be there.
type DeletedImage struct {
	Image     // as it was, with the tags that went with it
	DeletedAt time.Time
	Absent    []digest.Digest // that it named and the repository did not have
	Cause
}

// Restoration says how an image is restored.
type Restoration struct {
	Tags     []Tag // only these of the tags that it had; empty: all
	MoveTags bool  // take back tags that are on other images by now, unless they are immutable
}

// Restored is what a restoration has brought back.
type Restored struct {
	Image Image
	New   bool            // it was deleted; else it was there, and only tags came back
	With  []digest.Digest // children of an index, and referrers, that came back with it
	Tags  []ImageID       // that are back, each with its image
	Taken []ImageID       // that stay on the images that they are on by now
	Left  []digest.Digest // referrers that cannot be restored, because bytes of theirs are gone
}

// RollbackTarget says what a tag shall point at: an image, or what the tag pointed at then.
// The zero RollbackTarget is the image that it pointed at before the present one.
type RollbackTarget struct {
	Digest digest.Digest
	At     time.Time
}
