package registry

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// Image is a manifest of a repository with its tags: what Amazon ECR calls an image.
type Image struct {
	Digest       digest.Digest
	MediaType    string
	ArtifactType string        // as [Content] has it
	Subject      digest.Digest // empty if it refers to no other image
	Size         int64         // bytes of config and layers; of an index, those of its largest image
	Tags         []Tag         // by name
	PushedAt     time.Time     // when the digest came into the repository
	LastPulledAt time.Time     // may lag by an hour; zero before the first pull
	Class        StorageClass
	ArchivedAt   time.Time // the last time; zero before the first
	ActivatedAt  time.Time // when it was last restored; zero before the first time
}

// StorageClass says how an image is kept.
type StorageClass string

// An image in the archive is kept with its tags, and cannot be pulled before it is restored.
const (
	Standard StorageClass = "standard"
	Archive  StorageClass = "archive"
)

// ImageID names an image by digest, by tag, or by both.
type ImageID struct {
	Digest digest.Digest
	Tag    Tag
}

// TagStatus says whether images with tags are wanted, without, or all.
type TagStatus string

// The zero TagStatus wants all images.
const (
	Tagged   TagStatus = "TAGGED"
	Untagged TagStatus = "UNTAGGED"
)

// ImagesQuery asks for a page of the images of a repository, by digest.
type ImagesQuery struct {
	Status TagStatus
	Class  StorageClass // empty: any
	Last   ImageID      // of the page before; the tag matters where tags are listed one by one
	Limit  int
}
