package registry

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// Admin is what those who run a registry ask besides what [Registry] has: the
// repositories themselves, images with all that is known of them, settings, and what runs. All
// methods are safe for concurrent use; what one has answered without an error is durable.
// Any of them may answer the errors that any method of Registry may. Those on a
// repository answer ErrNameUnknown if it is not there.
type Admin interface {
	Repositories
	Images
	History
	Previews
	RegistrySettings
	Running
	Space
}

// Repositories is the part of a registry that knows repositories.
type Repositories interface {
	// CreateRepository makes an empty repository. Errors: ErrNameTaken.
	CreateRepository(ctx context.Context, name Name, s Settings) (Repository, error)

	// Repository describes a repository.
	Repository(ctx context.Context, name Name) (Repository, error)

	// DescribeRepositories describes repositories by name, in pages as [Lister] has them.
	DescribeRepositories(ctx context.Context, last Name, limit int) ([]Repository, error)

	// ChangeSettings lets change alter the settings of a repository in one transaction. An
	// error of change is returned and nothing is written. change may run more than once.
	ChangeSettings(ctx context.Context, name Name, change func(*Settings) error) (Repository, error)

	// DeleteRepository removes a repository. One that still holds images is removed only if
	// force is set. A large one goes in steps, during which others can push; what they push
	// to it meanwhile goes too, or keeps it alive. Errors: ErrNotEmpty.
	DeleteRepository(ctx context.Context, name Name, force bool) error

	// RepositoryPolicy returns who may use a repository, as JSON of a policy.
	// Errors: ErrNotSet.
	RepositoryPolicy(ctx context.Context, name Name) (json.RawMessage, error)

	// SetRepositoryPolicy replaces it, or removes it if policy is nil; what it was is
	// returned. Errors of a removal: ErrNotSet.
	SetRepositoryPolicy(ctx context.Context, name Name, policy json.RawMessage) (was json.RawMessage, err error)

	// LifecyclePolicy returns what becomes of the images of a repository with time.
	// Errors: ErrNotSet.
	LifecyclePolicy(ctx context.Context, name Name) (LifecyclePolicy, error)

	// SetLifecyclePolicy replaces it, or removes it if text is nil; what it was is
	// returned. Errors of a removal: ErrNotSet.
	SetLifecyclePolicy(ctx context.Context, name Name, text json.RawMessage) (was LifecyclePolicy, err error)
}

// Images is the part of a registry that knows images.
type Images interface {
	// Images lists images with their tags. A page may be shorter than its limit although
	// more follow. Last of the query is the digest of the last image before.
	Images(ctx context.Context, repo Name, q ImagesQuery) (page []Image, more bool, err error)

	// Image describes an image. An id of both tag and digest is that of an image if they
	// belong together. Errors: ErrManifestUnknown.
	Image(ctx context.Context, repo Name, id ImageID) (Image, error)

	// ImageIDs lists a digest with each of its tags, and untagged digests alone, by digest
	// and tag. A page may be shorter than its limit although more follow.
	ImageIDs(ctx context.Context, repo Name, q ImagesQuery) (page []ImageID, more bool, err error)

	// PutImage is PutManifest with a tag or none, for who wants to hear that nothing has
	// changed. Errors: those of PutManifest, ErrImageExists, ErrTagFixed (also if the tag is
	// on that very image).
	PutImage(ctx context.Context, repo Name, m Manifest, t Tag) (Content, error)

	// DeleteImage takes the tag of id from its image, or removes the image if it was the
	// last tag, or if id is a digest alone. It returns a digest with each tag that went, or
	// the digest alone of an untagged image.
	// Errors: ErrManifestUnknown, ErrTagMismatch, ErrManifestReferenced.
	DeleteImage(ctx context.Context, repo Name, id ImageID) ([]ImageID, error)

	// SetStorageClass archives an image or restores it, together with what it lists and what
	// refers to it; what an index that is not archived lists stays as it is. Pushing the image
	// again restores it too. Errors: ErrManifestUnknown, ErrManifestReferenced (an index that
	// is not archived lists it).
	SetStorageClass(ctx context.Context, repo Name, id ImageID, class StorageClass) (Image, error)

	// LayerReferenced reports whether an image of the repository refers to the blob d.
	LayerReferenced(ctx context.Context, repo Name, d digest.Digest) (bool, error)
}

// History is the part of a registry that knows what was, and brings it back. What it tells
// of a repository it tells of one that is gone too, and of one that never was it tells nothing.
type History interface {
	// DeletedImages lists deleted images that have not been pushed again, by digest, those
	// after last. They stay listed until garbage collection takes their bytes.
	DeletedImages(ctx context.Context, repo Name, last digest.Digest, limit int) ([]DeletedImage, error)

	// RestoreImage brings back a deleted image as it was, under those of its tags that are
	// free, and with it what it lists if it is an index, and the referrers that were deleted
	// with it or later. By a tag it finds the image that had it last. A repository that is gone
	// is made anew. For lifecycle policies the image counts as new. Of an image that has been
	// pushed again only the tags come back.
	// Errors: ErrManifestUnknown (no such image was deleted, or it is too long ago),
	// ErrManifestBlobUnknown (bytes of it are gone), ErrTagMismatch (it had no such tag),
	// ErrImageExists (it is there, and was not deleted).
	RestoreImage(ctx context.Context, repo Name, id ImageID, how Restoration) (Restored, error)

	// TagHistory lists how tags have moved.
	TagHistory(ctx context.Context, repo Name, q TagHistoryQuery) ([]TagChange, error)

	// TagAt returns the change since which a tag pointed at what it pointed at at a time.
	// If that is before all that is known of the tag, it is taken to have pointed where the
	// first change that is known took it from. Errors: ErrManifestUnknown (there was no such
	// tag then).
	TagAt(ctx context.Context, repo Name, t Tag, at time.Time) (TagChange, error)

	// RollbackTag points a tag at an image that it pointed at before. One that was deleted is
	// restored for it, without its other tags. It returns what has changed.
	// Errors: ErrManifestUnknown (there is nothing to go back to), ErrManifestBlobUnknown as
	// for RestoreImage, ErrTagFixed, ErrImageExists (the tag points there already).
	RollbackTag(ctx context.Context, repo Name, t Tag, to RollbackTarget) (TagChange, Restored, error)
}

// Previews is the part of a registry that tries lifecycle policies out.
type Previews interface {
	// StartLifecyclePreview has a policy tried out, that of the repository if text is nil, and
	// returns which. Nothing changes in the repository. What was tried out before is forgotten.
	// Errors: ErrNotSet (there is no policy), ErrPreviewRunning.
	StartLifecyclePreview(ctx context.Context, name Name, text json.RawMessage) (LifecyclePreview, error)

	// LifecyclePreview says how the last preview stands and, when it is complete, what the
	// policy would take. Errors: ErrNotSet (there was none).
	LifecyclePreview(ctx context.Context, name Name, q PreviewQuery) (p LifecyclePreview, more bool, err error)
}

// RegistrySettings is the part of a registry that is about it as a whole.
type RegistrySettings interface {
	// Setting returns a setting. Errors: ErrNotSet.
	Setting(ctx context.Context, name Setting) (json.RawMessage, error)

	// SetSetting replaces a setting, or removes it if value is nil; what it was is
	// returned. Errors of a removal: ErrNotSet.
	SetSetting(ctx context.Context, name Setting, value json.RawMessage) (was json.RawMessage, err error)

	// CreationTemplate returns the template with a prefix. Errors: ErrNotSet.
	CreationTemplate(ctx context.Context, prefix string) (CreationTemplate, error)

	// CreationTemplates lists templates by prefix, those after last.
	CreationTemplates(ctx context.Context, last string, limit int) ([]CreationTemplate, error)

	// AddCreationTemplate adds a template. Errors: ErrNameTaken.
	AddCreationTemplate(ctx context.Context, t CreationTemplate) (CreationTemplate, error)

	// ChangeCreationTemplate lets change alter a template in one transaction. An error of
	// change is returned and nothing is written. change may run more than once.
	// Errors: ErrNotSet.
	ChangeCreationTemplate(ctx context.Context, prefix string, change func(*CreationTemplate) error) (CreationTemplate, error)

	// DeleteCreationTemplate removes a template and returns it. Errors: ErrNotSet.
	DeleteCreationTemplate(ctx context.Context, prefix string) (CreationTemplate, error)

	// PullTimeExclusions lists those whose pulls do not count, by ARN, after last.
	PullTimeExclusions(ctx context.Context, last string, limit int) ([]PullTimeExclusion, error)

	// ExcludePullTime adds one. Errors: ErrNameTaken, ErrLimitExceeded (limit are there).
	ExcludePullTime(ctx context.Context, principal string, limit int) (PullTimeExclusion, error)

	// IncludePullTime removes one. Errors: ErrNotSet.
	IncludePullTime(ctx context.Context, principal string) error
}
