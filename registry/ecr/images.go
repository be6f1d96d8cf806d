package ecr

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// imageID names an image as the API does.
type imageID struct {
	Digest *string `json:"imageDigest,omitempty"`
	Tag    *string `json:"imageTag,omitempty"`
}

func newImageID(d digest.Digest, t registry.Tag) imageID {
	var id imageID
	if d != "" {
		s := string(d)
		id.Digest = &s
	}
	if t != "" {
		s := string(t)
		id.Tag = &s
	}
	return id
}

// String is how messages name an image.
func (id imageID) String() string {
	return fmt.Sprintf("{imageDigest:'%s', imageTag:'%s'}", orNull(id.Digest), orNull(id.Tag))
}

// orNull is how messages have what was left out.
func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// parse reads an image id, or says with one of ECR's failure codes why it is none. What is
// a digest or a tag in ECR's eyes but not in ours names nothing.
func (id imageID) parse() (parsed registry.ImageID, code, reason string) {
	if id.Digest == nil && id.Tag == nil {
		return parsed, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"
	}
	if id.Digest != nil {
		if !digestPattern.whole.MatchString(*id.Digest) {
			return parsed, "InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex '" + digestPattern.text + "'"
		}
		d, err := registry.ParseDigest(*id.Digest)
		if err != nil {
			return parsed, "ImageNotFound", imageNotFound
		}
		parsed.Digest = d
	}
	if id.Tag != nil {
		if len(*id.Tag) < 1 || len(*id.Tag) > 300 {
			return parsed, "InvalidImageTag", "Invalid request parameters: image tag should have 1 to 300 characters"
		}
		t, err := registry.ParseTag(*id.Tag)
		if err != nil {
			return parsed, "ImageNotFound", imageNotFound
		}
		parsed.Tag = t
	}
	return parsed, "", ""
}

const imageNotFound = "Requested image not found"

func (c *call) imageNotFound(id imageID, repo registry.Name) error {
	return refusal("ImageNotFound", "The image with imageId %s does not exist within the repository with name '%s' in the registry with id '%s'", id, repo, c.account())
}

// image finds the only image that an input is about.
func (c *call) image(ctx context.Context, repo registry.Name, id imageID) (registry.Image, error) {
	parsed, code, reason := id.parse()
	if code != "" && code != "ImageNotFound" {
		return registry.Image{}, refusal("InvalidParameter", "%s", reason)
	}
	if code != "" {
		return registry.Image{}, c.imageNotFound(id, repo)
	}
	image, err := c.admin.Image(ctx, repo, parsed)
	if errors.Is(err, registry.ErrManifestUnknown) {
		err = c.imageNotFound(id, repo)
	}
	return image, err
}

// imageInput is an input about an image.
type imageInput struct {
	repositoryInput
	ID *imageID `json:"imageId"`
}

func (in *imageInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("imageId", in.ID != nil)
}

// named is the id of the image that was found, with the tag that was asked for.
func (in *imageInput) named(image registry.Image) imageID {
	id := newImageID(image.Digest, "")
	id.Tag = in.ID.Tag
	return id
}

// imagesFilter says which images are wanted.
type imagesFilter struct {
	Tags   string `json:"tagStatus"`
	Status string `json:"imageStatus"`
}

func (f *imagesFilter) validate(k *check) {
	k.enum("filter.tagStatus", f.Tags, "TAGGED", "UNTAGGED", "ANY")
	k.enum("filter.imageStatus", f.Status, "ACTIVE", "ARCHIVED", "ACTIVATING", "ANY")
}

func (f *imagesFilter) tagStatus() registry.TagStatus {
	if f.Tags == "ANY" {
		return ""
	}
	return registry.TagStatus(f.Tags)
}

// class is where images are wanted from: those that are active unless something else is said.
func (f *imagesFilter) class() registry.StorageClass {
	switch f.Status {
	case "ARCHIVED":
		return registry.Archive
	case "ANY":
		return ""
	}
	return registry.Standard
}

// activating reports whether only images are wanted that are being restored, which takes no
// time here.
func (f *imagesFilter) activating() bool { return f.Status == "ACTIVATING" }

type listImagesInput struct {
	repositoryInput
	pageInput
	Filter imagesFilter `json:"filter"`
}

func (in *listImagesInput) validate(k *check) {
	in.repositoryInput.validate(k)
	in.pageInput.validate(k, maxPage, "")
	in.Filter.validate(k)
}

type listImagesOutput struct {
	IDs       []imageID `json:"imageIds"`
	NextToken string    `json:"nextToken,omitempty"`
}

func (c *call) listImages(ctx context.Context, in *listImagesInput) (listImagesOutput, error) {
	out := listImagesOutput{IDs: []imageID{}}
	asked := question(string(in.RepositoryName), in.Filter.Tags, in.Filter.Status)
	var d, t string
	if err := c.resume(&in.pageInput, asked, &d, &t); err != nil {
		return out, err
	}
	page, more, err := c.admin.ImageIDs(ctx, in.RepositoryName, registry.ImagesQuery{
		Status: in.Filter.tagStatus(), Class: in.Filter.class(), Limit: in.limit(defaultPage),
		Last: registry.ImageID{Digest: digest.Digest(d), Tag: registry.Tag(t)},
	})
	if err != nil || in.Filter.activating() {
		return out, err
	}
	for _, id := range page {
		out.IDs = append(out.IDs, newImageID(id.Digest, id.Tag))
	}
	if more {
		last := page[len(page)-1]
		out.NextToken = c.next(asked, string(last.Digest), string(last.Tag))
	}
	return out, nil
}

type imageDetail struct {
	RegistryID   string         `json:"registryId"`
	Repository   registry.Name  `json:"repositoryName"`
	Digest       digest.Digest  `json:"imageDigest"`
	Tags         []registry.Tag `json:"imageTags,omitempty"`
	Size         int64          `json:"imageSizeInBytes"`
	PushedAt     seconds        `json:"imagePushedAt"`
	MediaType    string         `json:"imageManifestMediaType"`
	ArtifactType string         `json:"artifactMediaType,omitempty"`
	PulledAt     seconds        `json:"lastRecordedPullTime,omitzero"`
	Subject      digest.Digest  `json:"subjectManifestDigest,omitempty"`
	Status       string         `json:"imageStatus"`
	ArchivedAt   seconds        `json:"lastArchivedAt,omitzero"`
	ActivatedAt  seconds        `json:"lastActivatedAt,omitzero"`

	Scan     *scanStatus      `json:"imageScanStatus,omitempty"`
	Findings *findingsSummary `json:"imageScanFindingsSummary,omitempty"`
}

// details are those of images of a repository, and how their scans stand.
func (c *call) details(ctx context.Context, repo registry.Name, images []registry.Image) ([]imageDetail, error) {
	details := make([]imageDetail, 0, len(images))
	digests := make([]digest.Digest, 0, len(images))
	for _, image := range images {
		details = append(details, c.detail(repo, image))
		digests = append(digests, image.Digest)
	}
	scans, show, err := c.scansOf(ctx, repo, digests)
	for i := range details {
		if s, ok := scans[details[i].Digest]; ok {
			status := show.status(s)
			details[i].Scan, details[i].Findings = &status, show.summary(s)
		}
	}
	return details, err
}

func (c *call) detail(repo registry.Name, image registry.Image) imageDetail {
	return imageDetail{
		RegistryID: c.account(), Repository: repo, Digest: image.Digest, Tags: image.Tags, Size: image.Size,
		PushedAt: seconds(image.PushedAt), MediaType: image.MediaType, ArtifactType: image.ArtifactType,
		PulledAt: seconds(image.LastPulledAt), Subject: image.Subject,
		Status: imageStatus(image.Class), ArchivedAt: seconds(image.ArchivedAt), ActivatedAt: seconds(image.ActivatedAt),
	}
}

// maxImageIDs is how many images one request can be about.
const maxImageIDs = 100

type describeImagesInput struct {
	repositoryInput
	pageInput
	IDs    []imageID    `json:"imageIds"`
	Filter imagesFilter `json:"filter"`
}

func (in *describeImagesInput) validate(k *check) {
	in.repositoryInput.validate(k)
	in.Filter.validate(k)
	if in.IDs == nil {
		in.pageInput.validate(k, maxPage, "")
		return
	}
	in.pageInput.validate(k, maxPage, "imageIds")
	k.length("imageIds", len(in.IDs), 1, maxImageIDs)
}

type describeImagesOutput struct {
	Details   []imageDetail `json:"imageDetails"`
	NextToken string        `json:"nextToken,omitempty"`
}

func (c *call) describeImages(ctx context.Context, in *describeImagesInput) (describeImagesOutput, error) {
	out := describeImagesOutput{Details: []imageDetail{}}
	if in.IDs != nil {
		seen := map[digest.Digest]bool{}
		var images []registry.Image
		for _, id := range in.IDs {
			image, err := c.image(ctx, in.RepositoryName, id)
			if err != nil {
				return out, err
			}
			if !seen[image.Digest] {
				seen[image.Digest] = true
				images = append(images, image)
			}
		}
		var err error
		out.Details, err = c.details(ctx, in.RepositoryName, images)
		return out, err
	}
	asked := question(string(in.RepositoryName), in.Filter.Tags, in.Filter.Status)
	var last string
	if err := c.resume(&in.pageInput, asked, &last); err != nil {
		return out, err
	}
	page, more, err := c.admin.Images(ctx, in.RepositoryName, registry.ImagesQuery{
		Status: in.Filter.tagStatus(), Class: in.Filter.class(), Limit: in.limit(defaultPage), Last: registry.ImageID{Digest: digest.Digest(last)},
	})
	if err != nil || in.Filter.activating() {
		return out, err
	}
	if more {
		out.NextToken = c.next(asked, string(page[len(page)-1].Digest))
	}
	out.Details, err = c.details(ctx, in.RepositoryName, page)
	return out, err
}
