package ecr

import (
	"context"

	"berth/registry"
)

// berth does not replicate: the only configuration it takes has no rules, and lists are empty.

type replication struct {
	Rules []any `json:"rules"`
}

type replicationInput struct {
	Configuration *replication `json:"replicationConfiguration"`
}

func (in *replicationInput) validate(k *check) {
	k.required("replicationConfiguration", in.Configuration != nil)
	if in.Configuration != nil {
		k.required("replicationConfiguration.rules", in.Configuration.Rules != nil)
		k.length("replicationConfiguration.rules", len(in.Configuration.Rules), 0, 10)
	}
}

type replicationOutput struct {
	Configuration replication `json:"replicationConfiguration"`
}

func (c *call) putReplicationConfiguration(_ context.Context, in *replicationInput) (replicationOutput, error) {
	if len(in.Configuration.Rules) > 0 {
		return replicationOutput{}, refusal("Validation", "This registry does not replicate; the only replicationConfiguration it takes has no rules")
	}
	return replicationOutput{replication{[]any{}}}, nil
}

type describeRegistryOutput struct {
	RegistryID    string      `json:"registryId"`
	Configuration replication `json:"replicationConfiguration"`
}

func (c *call) describeRegistry(context.Context, *nothing) (describeRegistryOutput, error) {
	return describeRegistryOutput{c.account(), replication{[]any{}}}, nil
}

type imageReplicationOutput struct {
	Repository registry.Name `json:"repositoryName"`
	ID         imageID       `json:"imageId"`
	Statuses   []struct{}    `json:"replicationStatuses"`
}

func (c *call) describeImageReplicationStatus(ctx context.Context, in *imageInput) (imageReplicationOutput, error) {
	image, err := c.image(ctx, in.RepositoryName, *in.ID)
	return imageReplicationOutput{in.RepositoryName, in.named(image), []struct{}{}}, err
}

type startBackfillInput struct {
	registryInput
	Destination *struct{} `json:"destination"`
}

func (in *startBackfillInput) validate(k *check) {
	in.registryInput.validate(k)
	k.required("destination", in.Destination != nil)
}

func (c *call) startReplicationBackfill(context.Context, *startBackfillInput) (struct{}, error) {
	return struct{}{}, refusal("Validation", "The destination is not one of the replication configuration")
}

type backfillInput struct {
	registryInput
	ID string `json:"replicationBackfillId"`
}

func (in *backfillInput) validate(k *check) {
	in.registryInput.validate(k)
	k.required("replicationBackfillId", in.ID != "")
}

func (c *call) noBackfill(_ context.Context, in *backfillInput) (struct{}, error) {
	return struct{}{}, refusal("ReplicationBackfillNotFound", "The replication backfill with id '%s' does not exist", in.ID)
}

type listBackfillsInput struct {
	registryInput
	pageInput
}

func (in *listBackfillsInput) validate(k *check) {
	in.registryInput.validate(k)
	in.pageInput.validate(k, 50, "")
}

type backfillsOutput struct {
	RegistryID string     `json:"registryId"`
	Backfills  []struct{} `json:"backfills"`
}

func (c *call) listReplicationBackfills(context.Context, *listBackfillsInput) (backfillsOutput, error) {
	return backfillsOutput{c.account(), []struct{}{}}, nil
}
