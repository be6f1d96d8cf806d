package ecr

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/registry"
)

type layerDigestsInput struct {
	repositoryInput
	Digests []string `json:"layerDigests"`
}

func (in *layerDigestsInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("layerDigests", in.Digests != nil)
	k.length("layerDigests", len(in.Digests), 1, 100)
	for _, d := range in.Digests {
		k.length("layerDigests", len(d), 0, 1000)
	}
}

type layer struct {
	Digest       string `json:"layerDigest"`
	Availability string `json:"layerAvailability"`
	Size         *int64 `json:"layerSize,omitempty"`
	MediaType    string `json:"mediaType,omitempty"`
}

type layerFailure struct {
	Digest string `json:"layerDigest,omitempty"`
	Code   string `json:"failureCode"`
	Reason string `json:"failureReason"`
}

type layersOutput struct {
	Layers   []layer        `json:"layers"`
	Failures []layerFailure `json:"failures"`
}

func (c *call) batchCheckLayerAvailability(ctx context.Context, in *layerDigestsInput) (layersOutput, error) {
	out := layersOutput{[]layer{}, []layerFailure{}}
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	pushes, err := c.opts.May(ctx, auth.PutImage, in.RepositoryName)
	if err != nil {
		return out, err
	}
	if pushes {
		ctx = registry.WithPusher(ctx)
	}
	for _, text := range dedupe(in.Digests) {
		switch {
		case text == "":
			out.Failures = append(out.Failures, layerFailure{"", "MissingLayerDigest", "Invalid request parameters: layer digest cannot be empty"})
			continue
		case !digestPattern.whole.MatchString(text):
			out.Failures = append(out.Failures, layerFailure{text, "InvalidLayerDigest", "Invalid request parameters: layer digest should satisfy the regex '" + digestPattern.text + "'"})
			continue
		}
		found := layer{Digest: text, Availability: "UNAVAILABLE"}
		if d, err := registry.ParseDigest(text); err == nil {
			switch desc, err := c.registry.StatBlob(ctx, in.RepositoryName, d); {
			case err == nil:
				found = layer{text, "AVAILABLE", &desc.Size, desc.MediaType}
			case !errors.Is(err, registry.ErrBlobUnknown):
				return out, err
			}
		}
		out.Layers = append(out.Layers, found)
	}
	return out, nil
}

type layerInput struct {
	repositoryInput
	Digest string `json:"layerDigest"`
}

func (in *layerInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("layerDigest", in.Digest != "")
	k.matches("layerDigest", in.Digest, digestPattern)
}

type downloadURLOutput struct {
	URL    string `json:"downloadUrl"`
	Digest string `json:"layerDigest"`
}

func (c *call) getDownloadURLForLayer(ctx context.Context, in *layerInput) (downloadURLOutput, error) {
	out := downloadURLOutput{Digest: in.Digest}
	unknown := refusal("LayersNotFound", "The layer with digest '%s' does not exist in the repository with name '%s' in the registry with id '%s'", in.Digest, in.RepositoryName, c.account())
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	d, err := registry.ParseDigest(in.Digest)
	if err != nil {
		return out, unknown
	}
	switch _, err := c.registry.StatBlob(ctx, in.RepositoryName, d); {
	case errors.Is(err, registry.ErrBlobUnknown):
		return out, unknown
	case err != nil:
		return out, err
	}
	switch referenced, err := c.admin.LayerReferenced(ctx, in.RepositoryName, d); {
	case err != nil:
		return out, err
	case !referenced:
		return out, refusal("LayerInaccessible", "No image of the repository with name '%s' refers to the layer with digest '%s'", in.RepositoryName, d)
	}
	err = registry.ErrUnsupported
	if c.redirects {
		out.URL, err = c.registry.BlobURL(ctx, in.RepositoryName, d)
	}
	if errors.Is(err, registry.ErrUnsupported) {
		out.URL, err = c.opts.LayerURL(ctx, c.endpoint, in.RepositoryName, d)
	}
	return out, err
}

type initiateLayerUploadOutput struct {
	ID       registry.UploadID `json:"uploadId"`
	PartSize int64             `json:"partSize"`
}

func (c *call) initiateLayerUpload(ctx context.Context, in *repositoryInput) (initiateLayerUploadOutput, error) {
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return initiateLayerUploadOutput{}, err
	}
	u, err := c.registry.StartUpload(ctx, in.RepositoryName, digest.SHA256)
	return initiateLayerUploadOutput{u.ID, partSize}, err
}

// uploadInput is the part of an input that names an upload.
type uploadInput struct {
	repositoryInput
	ID registry.UploadID `json:"uploadId"`
}

func (in *uploadInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("uploadId", in.ID != "")
	k.matches("uploadId", string(in.ID), uploadIDPattern)
}

type uploadLayerPartInput struct {
	uploadInput
	First *int64 `json:"partFirstByte"`
	Last  *int64 `json:"partLastByte"`
	Part  []byte `json:"layerPartBlob"`
}

func (in *uploadLayerPartInput) validate(k *check) {
	in.uploadInput.validate(k)
	k.required("partFirstByte", in.First != nil)
	k.required("partLastByte", in.Last != nil)
	k.required("layerPartBlob", in.Part != nil)
	if k.err != nil {
		return
	}
	const most = 1 << 53 // what every JSON reader takes for a whole number
	k.value("partFirstByte", *in.First, 0, most)
	k.value("partLastByte", *in.Last, 0, most)
	k.length("layerPartBlob", len(in.Part), 0, maxPart)
}

type uploadLayerPartOutput struct {
	RegistryID string            `json:"registryId"`
	Repository registry.Name     `json:"repositoryName"`
	ID         registry.UploadID `json:"uploadId"`
	Last       int64             `json:"lastByteReceived"`
}

func (c *call) uploadLayerPart(ctx context.Context, in *uploadLayerPartInput) (uploadLayerPartOutput, error) {
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return uploadLayerPartOutput{}, err
	}
	u, err := c.registry.Upload(ctx, in.RepositoryName, in.ID)
	if err != nil {
		return uploadLayerPartOutput{}, err
	}
	before, err := partsOf(u)
	if err != nil {
		return uploadLayerPartOutput{}, err
	}
	size := int64(len(in.Part))
	switch {
	case size == 0 || *in.Last-*in.First+1 != size:
		return uploadLayerPartOutput{}, c.invalidPart(in, u, fmt.Sprintf("the part has %d bytes and not those from %d to %d", size, *in.First, *in.Last))
	case before.Count >= maxParts:
		return uploadLayerPartOutput{}, refusal("LimitExceeded", "A layer can have at most %d parts", maxParts)
	}
	note, err := before.with(*in.Last + 1)
	if err != nil {
		return uploadLayerPartOutput{}, err
	}
	u, err = c.registry.AppendUpload(ctx, in.RepositoryName, in.ID, registry.Chunk{Offset: *in.First, Size: size, Body: bytes.NewReader(in.Part), Note: note})
	if errors.Is(err, registry.ErrRangeInvalid) || errors.Is(err, registry.ErrSizeInvalid) {
		return uploadLayerPartOutput{}, c.invalidPart(in, u, message(err))
	}
	return uploadLayerPartOutput{c.account(), in.RepositoryName, in.ID, u.Offset - 1}, err
}

func (c *call) invalidPart(in *uploadLayerPartInput, u registry.Upload, why string) error {
	e := refusal("InvalidLayerPart", "%s", why)
	e.members = map[string]any{
		"registryId": c.account(), "repositoryName": in.RepositoryName, "uploadId": in.ID, "lastValidByteReceived": u.Offset - 1,
	}
	return e
}

type completeLayerUploadInput struct {
	uploadInput
	Digests []string `json:"layerDigests"`
}

func (in *completeLayerUploadInput) validate(k *check) {
	in.uploadInput.validate(k)
	k.required("layerDigests", in.Digests != nil)
	k.length("layerDigests", len(in.Digests), 1, 100)
	for _, d := range in.Digests {
		if _, err := registry.ParseDigest(d); err != nil {
			k.fail("layerDigests", "must satisfy regular expression '%s'", digestPattern.text)
		}
	}
}

type completeLayerUploadOutput struct {
	RegistryID string            `json:"registryId"`
	Repository registry.Name     `json:"repositoryName"`
	ID         registry.UploadID `json:"uploadId"`
	Digest     digest.Digest     `json:"layerDigest"`
}

// completeLayerUpload takes one digest; of several all have to be the same.
func (c *call) completeLayerUpload(ctx context.Context, in *completeLayerUploadInput) (completeLayerUploadOutput, error) {
	out := completeLayerUploadOutput{c.account(), in.RepositoryName, in.ID, digest.Digest(in.Digests[0])}
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	u, err := c.registry.Upload(ctx, in.RepositoryName, in.ID)
	if err != nil {
		return out, err
	}
	came, err := partsOf(u)
	switch {
	case err != nil:
		return out, err
	case u.Offset == 0:
		return out, refusal("EmptyUpload", "No part of the layer has been uploaded in the upload with id '%s'", in.ID)
	case came.tooSmall(u.Offset):
		return out, refusal("LayerPartTooSmall", "All layer parts except the last part should be at least 5MB")
	case len(dedupe(in.Digests)) > 1:
		return out, refusal("InvalidLayer", "A layer has one digest; '%v' are several", in.Digests)
	}
	switch _, err := c.registry.StatBlob(registry.WithPusher(ctx), in.RepositoryName, out.Digest); {
	case err == nil:
		if err := c.registry.CancelUpload(ctx, in.RepositoryName, in.ID); err != nil && !errors.Is(err, registry.ErrUploadUnknown) {
			return out, err
		}
		return out, refusal("LayerAlreadyExists", "The layer with the digest '%s' already exists in the repository with name '%s' in registry with id '%s'", out.Digest, in.RepositoryName, c.account())
	case !errors.Is(err, registry.ErrBlobUnknown) && !errors.Is(err, registry.ErrNameUnknown):
		return out, err
	}
	_, err = c.registry.FinishUpload(ctx, in.RepositoryName, in.ID, registry.Chunk{Offset: u.Offset}, out.Digest)
	if errors.Is(err, registry.ErrDigestInvalid) {
		err = refusal("InvalidLayer", "%s", message(err))
	}
	return out, err
}
