package ecr

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

type putImageInput struct {
	repositoryInput
	Manifest  *string `json:"imageManifest"`
	MediaType string  `json:"imageManifestMediaType"`
	Tag       *string `json:"imageTag"`
	Digest    *string `json:"imageDigest"`
}

func (in *putImageInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("imageManifest", in.Manifest != nil)
	if in.Manifest != nil {
		k.length("imageManifest", len(*in.Manifest), 1, registry.MaxManifestSize)
	}
	if in.Tag != nil {
		k.length("imageTag", len(*in.Tag), 1, 300)
		if _, err := registry.ParseTag(*in.Tag); err != nil {
			k.fail("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'")
		}
	}
	if in.Digest != nil {
		k.matches("imageDigest", *in.Digest, digestPattern)
	}
}

// maxImageTags is how many tags ECR lets an image have.
const maxImageTags = 1000

type putImageOutput struct {
	Image image `json:"image"`
}

func (c *call) putImage(ctx context.Context, in *putImageInput) (putImageOutput, error) {
	m := registry.Manifest{MediaType: in.MediaType, Digest: digest.SHA256.FromString(*in.Manifest), Bytes: []byte(*in.Manifest)}
	if in.Digest != nil && *in.Digest != string(m.Digest) {
		if d, err := registry.ParseDigest(*in.Digest); err != nil || d.Algorithm().FromBytes(m.Bytes) != d {
			return putImageOutput{}, refusal("ImageDigestDoesNotMatch", "The image manifest has the digest '%s', not '%s'", m.Digest, *in.Digest)
		}
		m.Digest = digest.Digest(*in.Digest)
	}
	var t registry.Tag
	if in.Tag != nil {
		t = registry.Tag(*in.Tag)
	}
	if m.MediaType == "" && !saysMediaType(m.Bytes) {
		return putImageOutput{}, unusable("")
	}
	if t != "" {
		if err := c.roomForTag(ctx, in.RepositoryName, m.Digest, t); err != nil {
			return putImageOutput{}, err
		}
	}
	content, err := c.admin.PutImage(ctx, in.RepositoryName, m, t)
	if err != nil {
		return putImageOutput{}, c.putException(err, in, m, content)
	}
	return putImageOutput{image{c.account(), in.RepositoryName, newImageID(m.Digest, t), *in.Manifest, content.MediaType}}, nil
}

// saysMediaType reports whether a manifest names its own media type.
func saysMediaType(manifest []byte) bool {
	var doc struct {
		MediaType string `json:"mediaType"`
	}
	return json.Unmarshal(manifest, &doc) == nil && doc.MediaType != ""
}

// roomForTag refuses a tag too many. Of several that come at once a few may be.
func (c *call) roomForTag(ctx context.Context, repo registry.Name, d digest.Digest, t registry.Tag) error {
	there, err := c.admin.Image(ctx, repo, registry.ImageID{Digest: d})
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrNameUnknown) {
		return nil
	}
	if err == nil && len(there.Tags) >= maxImageTags && !slices.Contains(there.Tags, t) {
		err = refusal("LimitExceeded", "The image with digest '%s' in the repository with name '%s' has %d tags, which is as many as it can have", d, repo, maxImageTags)
	}
	return err
}

func unusable(why string) error {
	e := invalid("ImageManifest", "Invalid JSON syntax")
	if why != "" {
		e.Message += ": " + why
	}
	return e
}

func (c *call) putException(err error, in *putImageInput, m registry.Manifest, content registry.Content) error {
	repo := in.RepositoryName
	switch {
	case errors.Is(err, registry.ErrImageExists):
		return refusal("ImageAlreadyExists", "Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", m.Digest, orNull(in.Tag), repo, c.account())
	case errors.Is(err, registry.ErrTagFixed):
		return refusal("ImageTagAlreadyExists", "%s", message(err))
	case errors.Is(err, registry.ErrManifestBlobUnknown):
		missing := strings.Join(missingOf(err), ", ")
		if content.IsIndex() {
			return refusal("ReferencedImagesNotFound", "Images with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", missing, repo, c.account())
		}
		return refusal("LayersNotFound", "Layers with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", missing, repo, c.account())
	case errors.Is(err, registry.ErrManifestInvalid), errors.Is(err, registry.ErrManifestTooLarge):
		return unusable(message(err))
	case errors.Is(err, registry.ErrDigestInvalid):
		return refusal("ImageDigestDoesNotMatch", "%s", message(err))
	}
	return err
}

// missingOf lists what an ErrManifestBlobUnknown says is missing.
func missingOf(err error) []string {
	e, _ := errors.AsType[*registry.Error](err)
	detail, _ := e.Detail.(map[string]any)
	digests, _ := detail["digests"].([]digest.Digest)
	var list []string
	for _, d := range digests {
		list = append(list, string(d))
	}
	return list
}
