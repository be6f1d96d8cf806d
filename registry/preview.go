package registry

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// LifecyclePreview is what a lifecycle policy would do to a repository.
type LifecyclePreview struct {
	Policy    json.RawMessage
	Status    PreviewStatus
	Expiring  int  // images that would be deleted
	Archiving int  // images that would be archived
	Archives  bool // whether a rule of the policy archives images
	Images    []PreviewedImage
}

// PreviewStatus is how a preview stands.
type PreviewStatus string

// The words of Amazon ECR. A preview has expired when it is so old that it tells nothing; it
// can be started anew, and so can one that has failed.
const (
	PreviewRunning  PreviewStatus = "IN_PROGRESS"
	PreviewComplete PreviewStatus = "COMPLETE"
	PreviewExpired  PreviewStatus = "EXPIRED"
	PreviewFailed   PreviewStatus = "FAILED"
)

// PreviewedImage is an image that a policy would take.
type PreviewedImage struct {
	Digest   digest.Digest
	Tags     []Tag // by name; where only tags would expire, those
	PushedAt time.Time
	Class    StorageClass // before that
	Rule     int          // the priority of the rule
	Action   string       // as policies have it, such as "expire"
}

// PreviewQuery asks for a page of what a policy would take, by digest.
type PreviewQuery struct {
	Status  TagStatus
	Digests []digest.Digest // if not nil, those of them that it would take, all at once
	Last    digest.Digest   // of the page before
	Limit   int
}
