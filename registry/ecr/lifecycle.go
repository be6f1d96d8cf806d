package ecr

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"berth/registry"
)

// The lengths of a lifecycle policy, in characters.
const (
	minLifecyclePolicy = 100
	maxLifecyclePolicy = 30_720
)

type lifecycleOutput struct {
	RegistryID  string        `json:"registryId"`
	Repository  registry.Name `json:"repositoryName"`
	Policy      string        `json:"lifecyclePolicyText"`
	EvaluatedAt seconds       `json:"lastEvaluatedAt,omitzero"`
}

type putLifecyclePolicyInput struct {
	repositoryInput
	Policy *string `json:"lifecyclePolicyText"`
}

func (in *putLifecyclePolicyInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("lifecyclePolicyText", in.Policy != nil)
	k.lifecyclePolicy(in.Policy)
}

// lifecyclePolicy looks at one that may be left out.
func (k *check) lifecyclePolicy(text *string) {
	if text != nil {
		k.length("lifecyclePolicyText", utf8.RuneCountInString(*text), minLifecyclePolicy, maxLifecyclePolicy)
	}
}

func (c *call) putLifecyclePolicy(ctx context.Context, in *putLifecyclePolicyInput) (lifecycleOutput, error) {
	out := lifecycleOutput{RegistryID: c.account(), Repository: in.RepositoryName, Policy: *in.Policy}
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	if err := c.opts.Policies.ParseLifecyclePolicy(*in.Policy); err != nil {
		return out, invalid("LifecyclePolicyText", err.Error())
	}
	_, err := c.admin.SetLifecyclePolicy(ctx, in.RepositoryName, json.RawMessage(*in.Policy))
	return out, err
}

func (c *call) getLifecyclePolicy(ctx context.Context, in *repositoryInput) (lifecycleOutput, error) {
	p, err := c.admin.LifecyclePolicy(ctx, in.RepositoryName)
	return c.lifecycleOf(in.RepositoryName, p, err)
}

func (c *call) deleteLifecyclePolicy(ctx context.Context, in *repositoryInput) (lifecycleOutput, error) {
	was, err := c.admin.SetLifecyclePolicy(ctx, in.RepositoryName, nil)
	return c.lifecycleOf(in.RepositoryName, was, err)
}

func (c *call) lifecycleOf(repo registry.Name, p registry.LifecyclePolicy, err error) (lifecycleOutput, error) {
	if errors.Is(err, registry.ErrNotSet) {
		err = c.lifecyclePolicyNotFound(repo)
	}
	return lifecycleOutput{c.account(), repo, string(p.Text), seconds(p.EvaluatedAt)}, err
}

func (c *call) lifecyclePolicyNotFound(repo registry.Name) error {
	return refusal("LifecyclePolicyNotFound", "Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", repo, c.account())
}
