package ecr

import (
	"context"
	"errors"
	"strings"

	"berth/auth"
	"berth/registry"
)

type repository struct {
	ARN        string            `json:"repositoryArn"`
	RegistryID string            `json:"registryId"`
	Name       registry.Name     `json:"repositoryName"`
	URI        string            `json:"repositoryUri"`
	CreatedAt  seconds           `json:"createdAt"`
	Mode       registry.TagMode  `json:"imageTagMutability"`
	Exclusions []exclusionFilter `json:"imageTagMutabilityExclusionFilters,omitempty"`
	Scanning   *scanning         `json:"imageScanningConfiguration,omitempty"`
	Encryption *encryption       `json:"encryptionConfiguration,omitempty"`
}

type scanning struct {
	ScanOnPush bool `json:"scanOnPush"`
}

func (s *scanning) validate(*check) {}

type encryption struct {
	Type string `json:"encryptionType"`
	Key  string `json:"kmsKey,omitempty"`
}

func (e *encryption) validate(k *check) {
	k.required("encryptionConfiguration.encryptionType", e.Type != "")
	k.enum("encryptionConfiguration.encryptionType", e.Type, "AES256", "KMS", "KMS_DSSE")
	if e.Type == "AES256" && e.Key != "" {
		k.fail("encryptionConfiguration.kmsKey", "Member must not be given with the encryption type AES256")
	}
	if e.Type != "AES256" {
		k.fail("encryptionConfiguration.encryptionType", "keys of AWS KMS are not to be had here: use AES256, and encrypt the disk or the bucket")
	}
}

func (c *call) account() string { return c.opts.Location.AccountID() }

// uri is a repository as clients name it, without scheme.
func (c *call) uri(name registry.Name) string {
	_, host, _ := strings.Cut(c.endpoint, "://")
	return host + "/" + string(name)
}

func (c *call) describe(r registry.Repository) repository {
	out := repository{
		ARN: c.opts.Location.ARN(r.Name), RegistryID: c.account(), Name: r.Name, URI: c.uri(r.Name), CreatedAt: seconds(r.CreatedAt),
		Mode: r.Mutability.Mode, Exclusions: filtersOf(r.Mutability),
		Scanning: &scanning{r.ScanOnPush}, Encryption: encryptionOf(r.Encryption),
	}
	return out
}

func encryptionOf(e registry.Encryption) *encryption {
	if e.Type == "" {
		e.Type = "AES256"
	}
	return &encryption{e.Type, e.Key}
}

type createRepositoryInput struct {
	repositoryInput
	mutabilityInput
	Tags       []resourceTag `json:"tags"`
	Scanning   *scanning     `json:"imageScanningConfiguration"`
	Encryption *encryption   `json:"encryptionConfiguration"`
}

func (in *createRepositoryInput) validate(k *check) {
	in.repositoryInput.validate(k)
	in.mutabilityInput.validate(k)
	if in.Encryption != nil {
		in.Encryption.validate(k)
	}
}

func (in *createRepositoryInput) parameters() auth.Parameters { return given(in.Tags) }

type repositoryOutput struct {
	Repository repository `json:"repository"`
}

func (c *call) createRepository(ctx context.Context, in *createRepositoryInput) (repositoryOutput, error) {
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return repositoryOutput{}, err
	}
	if len(in.Tags) > 0 {
		if err := c.opts.Authorize(ctx, auth.TagResource, in.RepositoryName); err != nil {
			return repositoryOutput{}, err
		}
	}
	s := registry.Settings{Mutability: in.mutability(), ResourceTags: tags}
	if in.Scanning != nil {
		s.ScanOnPush = in.Scanning.ScanOnPush
	}
	r, err := c.admin.CreateRepository(ctx, in.RepositoryName, s)
	if errors.Is(err, registry.ErrNameTaken) {
		err = refusal("RepositoryAlreadyExists", "The repository with name '%s' already exists in the registry with id '%s'", in.RepositoryName, c.account())
	}
	return repositoryOutput{c.describe(r)}, err
}

type describeRepositoriesInput struct {
	registryInput
	pageInput
	Names []registry.Name `json:"repositoryNames"`
}

func (in *describeRepositoriesInput) validate(k *check) {
	in.registryInput.validate(k)
	if in.Names == nil {
		in.pageInput.validate(k, maxPage, "")
		return
	}
	in.pageInput.validate(k, maxPage, "repositoryNames")
	k.length("repositoryNames", len(in.Names), 1, 100)
	for _, name := range in.Names {
		k.repositoryName("repositoryNames", string(name))
	}
}

type describeRepositoriesOutput struct {
	Repositories []repository `json:"repositories"`
	NextToken    string       `json:"nextToken,omitempty"`
}

// describeRepositories asks of each name whether the caller may describe that, and shows of
// a list what it may.
func (c *call) describeRepositories(ctx context.Context, in *describeRepositoriesInput) (describeRepositoriesOutput, error) {
	out := describeRepositoriesOutput{Repositories: []repository{}}
	if in.Names != nil {
		for _, name := range dedupe(in.Names) {
			if err := c.opts.Authorize(ctx, auth.DescribeRepositories, name); err != nil {
				return out, err
			}
		}
		for _, name := range dedupe(in.Names) {
			r, err := c.admin.Repository(ctx, name)
			if err != nil {
				return out, c.exception(err, name)
			}
			out.Repositories = append(out.Repositories, c.describe(r))
		}
		return out, nil
	}
	var last string
	if err := c.resume(&in.pageInput, "", &last); err != nil {
		return out, err
	}
	described := map[registry.Name]registry.Repository{}
	limit := in.limit(defaultPage)
	names, err := c.opts.Visible(ctx, registry.Name(last), limit, func(last registry.Name, limit int) ([]registry.Name, error) {
		page, err := c.admin.DescribeRepositories(ctx, last, limit)
		names := make([]registry.Name, len(page))
		for i, r := range page {
			names[i], described[r.Name] = r.Name, r
		}
		return names, err
	}, auth.DescribeRepositories)
	if err != nil {
		return out, err
	}
	for _, name := range names {
		r, known := described[name]
		if !known {
			r, err = c.admin.Repository(ctx, name)
		}
		switch {
		case err == nil:
			out.Repositories = append(out.Repositories, c.describe(r))
		case !errors.Is(err, registry.ErrNameUnknown): // deleted since it was listed
			return out, err
		}
	}
	if len(names) == limit {
		out.NextToken = c.next("", string(names[limit-1]))
	}
	return out, nil
}

type deleteRepositoryInput struct {
	repositoryInput
	Force bool `json:"force"`
}

func (c *call) deleteRepository(ctx context.Context, in *deleteRepositoryInput) (repositoryOutput, error) {
	r, err := c.admin.Repository(ctx, in.RepositoryName)
	if err == nil {
		c.partly = in.Force
		err = c.admin.DeleteRepository(ctx, in.RepositoryName, in.Force)
	}
	return repositoryOutput{c.describe(r)}, err
}
