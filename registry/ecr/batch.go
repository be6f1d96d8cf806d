package ecr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/registry"
)

// imageFailure is what became of one image of many.
type imageFailure struct {
	ID     imageID `json:"imageId"`
	Code   string  `json:"failureCode"`
	Reason string  `json:"failureReason"`
}

// imageIDsInput is an input about several images.
type imageIDsInput struct {
	repositoryInput
	IDs []imageID `json:"imageIds"`
}

func (in *imageIDsInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("imageIds", in.IDs != nil)
	k.length("imageIds", len(in.IDs), 1, maxImageIDs)
}

// parse reads the ids, each once, in their order. Those that are none are failures.
func (in *imageIDsInput) parse() (ids []registry.ImageID, failures []imageFailure) {
	failures = []imageFailure{}
	for _, id := range in.IDs {
		parsed, code, reason := id.parse()
		switch {
		case code != "":
			failures = append(failures, imageFailure{id, code, reason})
		case !slices.Contains(ids, parsed):
			ids = append(ids, parsed)
		}
	}
	return ids, failures
}

type batchGetImageInput struct {
	imageIDsInput
	MediaTypes []string `json:"acceptedMediaTypes"`
}

func (in *batchGetImageInput) validate(k *check) {
	in.imageIDsInput.validate(k)
	if in.MediaTypes != nil {
		k.length("acceptedMediaTypes", len(in.MediaTypes), 1, 100)
	}
}

type image struct {
	RegistryID string        `json:"registryId"`
	Repository registry.Name `json:"repositoryName"`
	ID         imageID       `json:"imageId"`
	Manifest   string        `json:"imageManifest"`
	MediaType  string        `json:"imageManifestMediaType"`
}

type batchGetImageOutput struct {
	Images   []image        `json:"images"`
	Failures []imageFailure `json:"failures"`
}

func (c *call) batchGetImage(ctx context.Context, in *batchGetImageInput) (batchGetImageOutput, error) {
	ids, failures := in.parse()
	out := batchGetImageOutput{[]image{}, failures}
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	ctx = registry.WithPuller(ctx, c.principal.IdentityARN(c.opts.Location))
	fail := func(id registry.ImageID, code, reason string) {
		out.Failures = append(out.Failures, imageFailure{newImageID(id.Digest, id.Tag), code, reason})
	}
	var size int64
	for _, id := range ids {
		ref := registry.Reference{Digest: id.Digest}
		if id.Tag != "" {
			ref = registry.Reference{Tag: id.Tag}
		}
		// What is not answered is not pulled either.
		found, err := c.registry.StatManifest(ctx, in.RepositoryName, ref)
		switch {
		case errors.Is(err, registry.ErrManifestUnknown), err == nil && id.Digest != "" && id.Digest != found.Digest:
			fail(id, "ImageNotFound", imageNotFound)
			continue
		case errors.Is(err, registry.ErrDenied): // by a gate: the caller himself may pull
			fail(id, "ImageInaccessible", message(err))
			continue
		case err != nil:
			return out, err
		}
		if len(in.MediaTypes) > 0 && !slices.Contains(in.MediaTypes, found.MediaType) {
			fail(id, "ImageNotFound", fmt.Sprintf("%s: the image is there as %s, which is not among the accepted media types", imageNotFound, found.MediaType))
			continue
		}
		if size += found.Size; size > maxAnswer {
			return out, refusal("LimitExceeded", "the manifests of these images have more than %d bytes together; ask for fewer at a time", maxAnswer)
		}
		if err := c.hold(ctx, answerCopies*found.Size); err != nil {
			return out, err
		}
		m, err := c.registry.Manifest(ctx, in.RepositoryName, registry.Reference{Digest: found.Digest})
		if errors.Is(err, registry.ErrManifestUnknown) { // deleted meanwhile
			fail(id, "ImageNotFound", imageNotFound)
			continue
		}
		if errors.Is(err, registry.ErrDenied) {
			fail(id, "ImageInaccessible", message(err))
			continue
		}
		if err != nil {
			return out, err
		}
		out.Images = append(out.Images, image{c.account(), in.RepositoryName, newImageID(m.Digest, id.Tag), string(m.Bytes), m.MediaType})
	}
	return out, nil
}

const (
	maxAnswer    = 64 << 20 // bytes of the manifests of an answer
	answerCopies = 3        // as it was read, as text, and as JSON
)

type batchDeleteImageOutput struct {
	IDs      []imageID      `json:"imageIds"`
	Failures []imageFailure `json:"failures"`
}

// batchDeleteImage deletes indexes before what they hold, in whatever order they come.
func (c *call) batchDeleteImage(ctx context.Context, in *imageIDsInput) (batchDeleteImageOutput, error) {
	ids, failures := in.parse()
	out := batchDeleteImageOutput{[]imageID{}, failures}
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	c.changed = []registry.ImageID{}
	for progress := true; progress && len(ids) > 0; {
		progress = false
		var held []registry.ImageID
		var why []imageFailure
		for _, id := range ids {
			gone, err := c.admin.DeleteImage(ctx, in.RepositoryName, id)
			named := newImageID(id.Digest, id.Tag)
			switch {
			case err == nil:
				progress = true
				for _, g := range gone {
					out.IDs = append(out.IDs, newImageID(g.Digest, g.Tag))
					c.changed = append(c.changed, g)
				}
			case errors.Is(err, registry.ErrManifestReferenced):
				held = append(held, id)
				why = append(why, imageFailure{named, "ImageReferencedByManifestList", "Requested image referenced by manifest list: [" + strings.Join(holders(err), ", ") + "]"})
			case errors.Is(err, registry.ErrTagMismatch):
				out.Failures = append(out.Failures, imageFailure{named, "ImageTagDoesNotMatchDigest", "Invalid request parameters: image tag does not map to image digest"})
			case errors.Is(err, registry.ErrManifestUnknown):
				out.Failures = append(out.Failures, imageFailure{named, "ImageNotFound", imageNotFound})
			default:
				return out, err
			}
		}
		if ids = held; !progress {
			out.Failures = append(out.Failures, why...)
		}
	}
	return out, nil
}

// holders are the indexes that an ErrManifestReferenced names.
func holders(err error) []string {
	e, _ := errors.AsType[*registry.Error](err)
	detail, _ := e.Detail.(map[string]any)
	indexes, _ := detail["indexes"].([]string)
	return indexes
}
