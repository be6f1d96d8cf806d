package ecr

import (
	"context"

	"berth/registry"
)

// AWS Signer is not to be had; cosign and notation sign what is here.

type signingInput struct {
	Configuration *struct {
		Rules []any `json:"rules"`
	} `json:"signingConfiguration"`
}

func (in *signingInput) validate(k *check) {
	k.required("signingConfiguration", in.Configuration != nil)
	if in.Configuration != nil {
		k.required("signingConfiguration.rules", in.Configuration.Rules != nil)
		k.length("signingConfiguration.rules", len(in.Configuration.Rules), 0, 10)
	}
}

func (c *call) putSigningConfiguration(context.Context, *signingInput) (struct{}, error) {
	return struct{}{}, refusal("Validation", "Signing profiles of AWS Signer are not to be had here; sign with cosign or notation")
}

func (c *call) noSigningConfiguration(context.Context, *nothing) (struct{}, error) {
	return struct{}{}, refusal("SigningConfigurationNotFound", "Signing configuration does not exist in the registry with id '%s'", c.account())
}

type imageSigningOutput struct {
	RegistryID string        `json:"registryId"`
	Repository registry.Name `json:"repositoryName"`
	ID         imageID       `json:"imageId"`
	Statuses   []struct{}    `json:"signingStatuses"`
}

func (c *call) describeImageSigningStatus(ctx context.Context, in *imageInput) (imageSigningOutput, error) {
	image, err := c.image(ctx, in.RepositoryName, *in.ID)
	return imageSigningOutput{c.account(), in.RepositoryName, in.named(image), []struct{}{}}, err
}
