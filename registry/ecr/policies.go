package ecr

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"berth/auth"
	"berth/registry"
)

// PolicyParser reads policies before they are kept.
type PolicyParser interface {
	// ParseRepositoryPolicy checks who may use a repository and, without force, that the
	// caller may set another policy later. repo is empty for repositories to come.
	// Errors: auth.ErrPolicyInvalid.
	ParseRepositoryPolicy(ctx context.Context, text string, repo registry.Name, force bool) error

	// ParseRegistryPolicy checks who may use the registry. Errors: auth.ErrPolicyInvalid.
	ParseRegistryPolicy(ctx context.Context, text string) error

	// ParseLifecyclePolicy checks what becomes of images. Errors are in ECR's words.
	ParseLifecyclePolicy(text string) error
}

type authorizationData struct {
	Token     string  `json:"authorizationToken"`
	ExpiresAt seconds `json:"expiresAt"`
	Endpoint  string  `json:"proxyEndpoint"`
}

type authorizationOutput struct {
	Data []authorizationData `json:"authorizationData"`
}

type getAuthorizationTokenInput struct {
	RegistryIDs []string `json:"registryIds"`
}

func (in *getAuthorizationTokenInput) validate(k *check) {
	if in.RegistryIDs == nil {
		return
	}
	k.length("registryIds", len(in.RegistryIDs), 1, 10)
	for _, id := range in.RegistryIDs {
		k.matches("registryIds", id, registryIDPattern)
	}
}

// getAuthorizationToken answers for each registry that is asked for: there is but one.
func (c *call) getAuthorizationToken(ctx context.Context, in *getAuthorizationTokenInput) (authorizationOutput, error) {
	for _, id := range in.RegistryIDs {
		if id != c.account() {
			return authorizationOutput{}, invalid("registryIds", "this registry has the id "+c.account())
		}
	}
	password, expires, err := c.opts.Password(ctx, c.principal)
	if err != nil {
		return authorizationOutput{}, err
	}
	data := authorizationData{base64.StdEncoding.EncodeToString([]byte("AWS:" + password)), seconds(expires), c.endpoint}
	out := authorizationOutput{[]authorizationData{data}}
	for range max(len(in.RegistryIDs)-1, 0) {
		out.Data = append(out.Data, data)
	}
	return out, nil
}

// maxPolicy is the longest policy, in characters.
const maxPolicy = 10_240

type policyOutput struct {
	RegistryID string        `json:"registryId"`
	Repository registry.Name `json:"repositoryName,omitempty"`
	Policy     string        `json:"policyText"`
}

// pretty is how policies come back.
func pretty(policy json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, policy, "", "  "); err != nil {
		return string(policy)
	}
	return b.String()
}

type setRepositoryPolicyInput struct {
	repositoryInput
	Policy *string `json:"policyText"`
	Force  bool    `json:"force"`
}

func (in *setRepositoryPolicyInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("policyText", in.Policy != nil)
	if in.Policy != nil {
		k.length("policyText", utf8.RuneCountInString(*in.Policy), 0, maxPolicy)
	}
}

func (c *call) setRepositoryPolicy(ctx context.Context, in *setRepositoryPolicyInput) (policyOutput, error) {
	out := policyOutput{c.account(), in.RepositoryName, *in.Policy}
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	if err := c.opts.Policies.ParseRepositoryPolicy(ctx, *in.Policy, in.RepositoryName, in.Force); err != nil {
		return out, refusedPolicy("Invalid repository policy provided", err)
	}
	_, err := c.admin.SetRepositoryPolicy(ctx, in.RepositoryName, json.RawMessage(*in.Policy))
	out.Policy = pretty(json.RawMessage(*in.Policy))
	return out, ignoreNotSet(err)
}

// refusedPolicy says in ECR's words that a policy is none, and then why.
func refusedPolicy(words string, err error) error {
	if !errors.Is(err, auth.ErrPolicyInvalid) {
		return err
	}
	e := invalid("PolicyText", words)
	e.Message += ": " + err.Error()
	return e
}

// ignoreNotSet is for what is replaced, whether it was there or not.
func ignoreNotSet(err error) error {
	if errors.Is(err, registry.ErrNotSet) {
		return nil
	}
	return err
}

func (c *call) getRepositoryPolicy(ctx context.Context, in *repositoryInput) (policyOutput, error) {
	policy, err := c.admin.RepositoryPolicy(ctx, in.RepositoryName)
	return c.policyOf(in.RepositoryName, policy, err)
}

func (c *call) deleteRepositoryPolicy(ctx context.Context, in *repositoryInput) (policyOutput, error) {
	was, err := c.admin.SetRepositoryPolicy(ctx, in.RepositoryName, nil)
	return c.policyOf(in.RepositoryName, was, err)
}

func (c *call) policyOf(repo registry.Name, policy json.RawMessage, err error) (policyOutput, error) {
	if errors.Is(err, registry.ErrNotSet) {
		err = refusal("RepositoryPolicyNotFound", "Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", repo, c.account())
	}
	return policyOutput{c.account(), repo, pretty(policy)}, err
}

type putRegistryPolicyInput struct {
	Policy *string `json:"policyText"`
}

func (in *putRegistryPolicyInput) validate(k *check) {
	k.required("policyText", in.Policy != nil)
	if in.Policy != nil {
		k.length("policyText", utf8.RuneCountInString(*in.Policy), 0, maxPolicy)
	}
}

func (c *call) putRegistryPolicy(ctx context.Context, in *putRegistryPolicyInput) (policyOutput, error) {
	if err := c.opts.Policies.ParseRegistryPolicy(ctx, *in.Policy); err != nil {
		return policyOutput{}, refusedPolicy("Invalid registry policy provided", err)
	}
	_, err := c.admin.SetSetting(ctx, registry.RegistryPolicySetting, json.RawMessage(*in.Policy))
	return policyOutput{c.account(), "", pretty(json.RawMessage(*in.Policy))}, err
}

func (c *call) getRegistryPolicy(ctx context.Context, _ *nothing) (policyOutput, error) {
	policy, err := c.admin.Setting(ctx, registry.RegistryPolicySetting)
	return c.registryPolicyOf(policy, err)
}

func (c *call) deleteRegistryPolicy(ctx context.Context, _ *nothing) (policyOutput, error) {
	was, err := c.admin.SetSetting(ctx, registry.RegistryPolicySetting, nil)
	return c.registryPolicyOf(was, err)
}

func (c *call) registryPolicyOf(policy json.RawMessage, err error) (policyOutput, error) {
	if errors.Is(err, registry.ErrNotSet) {
		err = refusal("RegistryPolicyNotFound", "Registry policy does not exist in the registry with id '%s'", c.account())
	}
	return policyOutput{c.account(), "", pretty(policy)}, err
}
