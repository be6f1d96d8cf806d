package gc

import (
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Explanation says why bytes are still there, or are not.
type Explanation struct {
	Digest digest.Digest `json:"digest"`

	Blob        bool      `json:"blob"` // the registry has a blob of this digest
	Size        int64     `json:"size,omitempty"`
	Lost        bool      `json:"lost,omitempty"`         // its object is missing or damaged
	UnseenSince time.Time `json:"unseenSince,omitzero"`   // since when no repository sees it
	Holders     []Holder  `json:"repositories,omitempty"` // that see the blob, some of them

	Manifests []Holder `json:"manifests,omitempty"` // repositories that have a manifest of this digest, some of them
	Deleted   []Holder `json:"deleted,omitempty"`   // repositories that had an image of this digest and may have it restored, some of them
	More      bool     `json:"more,omitempty"`      // there are more repositories than these
}

// Holder is a repository that has a blob or a manifest, or had an image.
type Holder struct {
	Repository   registry.Name   `json:"repository"`
	Unreferenced time.Time       `json:"unreferencedSince,omitzero"` // of a blob that no manifest of the repository names
	NamedBy      []digest.Digest `json:"namedBy,omitempty"`          // manifests that name it, some of them
	Tags         []registry.Tag  `json:"tags,omitempty"`             // of a manifest, some of them
	DeletedAt    time.Time       `json:"deletedAt,omitzero"`         // of an image that was deleted
}
