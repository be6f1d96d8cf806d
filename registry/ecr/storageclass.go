package ecr

import (
	"context"
	"errors"

	"berth/registry"
)

type storageClassInput struct {
	imageInput
	Target string `json:"targetStorageClass"`
}

func (in *storageClassInput) validate(k *check) {
	in.imageInput.validate(k)
	k.required("targetStorageClass", in.Target != "")
	k.enum("targetStorageClass", in.Target, "STANDARD", "ARCHIVE")
}

type storageClassOutput struct {
	RegistryID string        `json:"registryId"`
	Repository registry.Name `json:"repositoryName"`
	ID         imageID       `json:"imageId"`
	Status     string        `json:"imageStatus"`
}

// updateImageStorageClass restores at once where ECR takes minutes.
func (c *call) updateImageStorageClass(ctx context.Context, in *storageClassInput) (storageClassOutput, error) {
	image, err := c.image(ctx, in.RepositoryName, *in.ID)
	if err != nil {
		return storageClassOutput{}, err
	}
	class := registry.Standard
	if in.Target == "ARCHIVE" {
		class = registry.Archive
	}
	changed, err := c.admin.SetStorageClass(ctx, in.RepositoryName, registry.ImageID{Digest: image.Digest}, class)
	switch {
	case errors.Is(err, registry.ErrManifestReferenced):
		err = refusal("ImageStorageClassUpdateNotSupported", "%s", message(err))
	case errors.Is(err, registry.ErrManifestUnknown): // deleted meanwhile
		err = c.imageNotFound(*in.ID, in.RepositoryName)
	}
	return storageClassOutput{c.account(), in.RepositoryName, in.named(image), imageStatus(changed.Class)}, err
}

// imageStatus is how the API has a storage class.
func imageStatus(c registry.StorageClass) string {
	if c == registry.Archive {
		return "ARCHIVED"
	}
	return "ACTIVE"
}
