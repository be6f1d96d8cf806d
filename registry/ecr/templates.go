package ecr

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"berth/auth"
	"berth/registry"
)

var templatePrefixPattern = newPattern(`((?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*/?|ROOT)`)

// templatePrefix is the part of an input that names a template.
type templatePrefix struct {
	Prefix string `json:"prefix"`
}

func (in *templatePrefix) validate(k *check) {
	k.required("prefix", in.Prefix != "")
	k.length("prefix", len(in.Prefix), 1, 256)
	k.matches("prefix", in.Prefix, templatePrefixPattern)
}

// key is the prefix as it is kept: a slash at its end says nothing.
func (in *templatePrefix) key() string { return strings.TrimSuffix(in.Prefix, "/") }

// templateInput is a template as a client describes it. What is absent in an update stays
// as it was.
type templateInput struct {
	templatePrefix
	mutabilityInput
	Description *string       `json:"description"`
	AppliedFor  []string      `json:"appliedFor"`
	Encryption  *encryption   `json:"encryptionConfiguration"`
	Tags        []resourceTag `json:"resourceTags"`
	Policy      *string       `json:"repositoryPolicy"`
	Lifecycle   *string       `json:"lifecyclePolicy"`
	RoleARN     *string       `json:"customRoleArn"`
}

func (in *templateInput) validate(k *check) {
	in.templatePrefix.validate(k)
	in.mutabilityInput.validate(k)
	if in.AppliedFor != nil {
		k.length("appliedFor", len(in.AppliedFor), 1, 3)
	}
	for _, cause := range in.AppliedFor {
		k.enum("appliedFor", cause, "REPLICATION", "PULL_THROUGH_CACHE", registry.CreateOnPush)
		k.required("appliedFor", cause != "")
	}
	if in.Encryption != nil {
		in.Encryption.validate(k)
	}
	text := func(member string, s *string, most int) {
		if s != nil {
			k.length(member, utf8.RuneCountInString(*s), 0, most)
		}
	}
	text("description", in.Description, 256)
	text("repositoryPolicy", in.Policy, maxPolicy)
	text("lifecyclePolicy", in.Lifecycle, maxLifecyclePolicy)
	text("customRoleArn", in.RoleARN, 2048)
}

// checkTemplate asks whether the caller could do to repositories what the template will, and
// whether its policies are such.
func (c *call) checkTemplate(ctx context.Context, in *templateInput) error {
	needs := []auth.Action{auth.CreateRepository}
	if set(in.Policy) {
		needs = append(needs, auth.SetRepositoryPolicy)
	}
	if set(in.Lifecycle) {
		needs = append(needs, auth.PutLifecyclePolicy)
	}
	if len(in.Tags) > 0 {
		needs = append(needs, auth.TagResource)
	}
	for _, action := range needs {
		if err := c.opts.Authorize(ctx, action, ""); err != nil {
			return err
		}
	}
	if set(in.Policy) {
		if err := c.opts.Policies.ParseRepositoryPolicy(ctx, *in.Policy, "", true); err != nil {
			return refusedPolicy("Invalid repository policy provided", err)
		}
	}
	if set(in.Lifecycle) {
		if err := c.opts.Policies.ParseLifecyclePolicy(*in.Lifecycle); err != nil {
			return invalid("LifecyclePolicyText", err.Error())
		}
	}
	return nil
}

// set reports whether a text is given, and not to take away what was there.
func set(s *string) bool { return s != nil && *s != "" }

// apply changes t as the input says.
func (in *templateInput) apply(t *registry.CreationTemplate) error {
	if in.AppliedFor != nil {
		t.AppliedFor = dedupe(in.AppliedFor)
	}
	if in.Mode != "" || in.Exclusions != nil {
		t.Settings.Mutability = in.mutability()
	}
	if in.Encryption != nil {
		t.Settings.Encryption = registry.Encryption{}
	}
	if in.Tags != nil {
		tags, err := mergeTags(nil, in.Tags)
		if err != nil {
			return refusal("InvalidParameter", "%s", err.(*Error).Message)
		}
		t.Settings.ResourceTags = tags
	}
	replace(&t.Description, in.Description)
	replace(&t.Policy, in.Policy)
	replace(&t.Lifecycle, in.Lifecycle)
	replace(&t.CustomRoleARN, in.RoleARN)
	return nil
}

// replace puts what is given in the place of what was there.
func replace(was, given *string) {
	if given != nil {
		*was = *given
	}
}

type template struct {
	Prefix      string            `json:"prefix"`
	Description string            `json:"description,omitempty"`
	AppliedFor  []string          `json:"appliedFor"`
	Mode        registry.TagMode  `json:"imageTagMutability"`
	Exclusions  []exclusionFilter `json:"imageTagMutabilityExclusionFilters,omitempty"`
	Encryption  *encryption       `json:"encryptionConfiguration"`
	Tags        []tag             `json:"resourceTags,omitempty"`
	Policy      string            `json:"repositoryPolicy,omitempty"`
	Lifecycle   string            `json:"lifecyclePolicy,omitempty"`
	RoleARN     string            `json:"customRoleArn,omitempty"`
	CreatedAt   seconds           `json:"createdAt"`
	UpdatedAt   seconds           `json:"updatedAt"`
}

func describeTemplate(t registry.CreationTemplate) template {
	out := template{
		Prefix: t.Prefix, Description: t.Description, AppliedFor: t.AppliedFor, Mode: t.Settings.Mutability.Mode,
		Exclusions: filtersOf(t.Settings.Mutability), Encryption: encryptionOf(t.Settings.Encryption), Tags: tagsOf(t.Settings.ResourceTags),
		Policy: t.Policy, Lifecycle: t.Lifecycle, RoleARN: t.CustomRoleARN,
		CreatedAt: seconds(t.CreatedAt), UpdatedAt: seconds(t.UpdatedAt),
	}
	if out.Mode == "" {
		out.Mode = registry.Mutable
	}
	return out
}

type templateOutput struct {
	RegistryID string   `json:"registryId"`
	Template   template `json:"repositoryCreationTemplate"`
}

type createTemplateInput struct{ templateInput }

func (in *createTemplateInput) validate(k *check) {
	in.templateInput.validate(k)
	k.required("appliedFor", len(in.AppliedFor) > 0)
}

func (c *call) createTemplate(ctx context.Context, in *createTemplateInput) (templateOutput, error) {
	if err := c.checkTemplate(ctx, &in.templateInput); err != nil {
		return templateOutput{}, err
	}
	t := registry.CreationTemplate{Prefix: in.key()}
	if err := in.apply(&t); err != nil {
		return templateOutput{}, err
	}
	made, err := c.admin.AddCreationTemplate(ctx, t)
	if errors.Is(err, registry.ErrNameTaken) {
		err = refusal("TemplateAlreadyExists", "A repository creation template with prefix '%s' already exists in the registry with id '%s'", in.Prefix, c.account())
	}
	return templateOutput{c.account(), describeTemplate(made)}, err
}

func (c *call) updateTemplate(ctx context.Context, in *templateInput) (templateOutput, error) {
	if err := c.checkTemplate(ctx, in); err != nil {
		return templateOutput{}, err
	}
	changed, err := c.admin.ChangeCreationTemplate(ctx, in.key(), in.apply)
	return templateOutput{c.account(), describeTemplate(changed)}, c.noTemplate(in.Prefix, err)
}

func (c *call) deleteTemplate(ctx context.Context, in *templatePrefix) (templateOutput, error) {
	was, err := c.admin.DeleteCreationTemplate(ctx, in.key())
	return templateOutput{c.account(), describeTemplate(was)}, c.noTemplate(in.Prefix, err)
}

func (c *call) noTemplate(prefix string, err error) error {
	if errors.Is(err, registry.ErrNotSet) {
		return refusal("TemplateNotFound", "A repository creation template with prefix '%s' does not exist in the registry with id '%s'", prefix, c.account())
	}
	return err
}

type describeTemplatesInput struct {
	pageInput
	Prefixes []string `json:"prefixes"`
}

func (in *describeTemplatesInput) validate(k *check) {
	if in.Prefixes == nil {
		in.pageInput.validate(k, maxPage, "")
		return
	}
	in.pageInput.validate(k, maxPage, "prefixes")
	k.length("prefixes", len(in.Prefixes), 1, 100)
	for _, p := range in.Prefixes {
		(&templatePrefix{p}).validate(k)
	}
}

type describeTemplatesOutput struct {
	RegistryID string     `json:"registryId"`
	Templates  []template `json:"repositoryCreationTemplates"`
	NextToken  string     `json:"nextToken,omitempty"`
}

func (c *call) describeTemplates(ctx context.Context, in *describeTemplatesInput) (describeTemplatesOutput, error) {
	out := describeTemplatesOutput{RegistryID: c.account(), Templates: []template{}}
	var keys []string
	for _, p := range in.Prefixes {
		keys = append(keys, (&templatePrefix{p}).key())
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		t, err := c.admin.CreationTemplate(ctx, key)
		switch {
		case err == nil:
			out.Templates = append(out.Templates, describeTemplate(t))
		case !errors.Is(err, registry.ErrNotSet):
			return out, err
		}
	}
	if in.Prefixes != nil {
		return out, nil
	}
	var last string
	if err := c.resume(&in.pageInput, "", &last); err != nil {
		return out, err
	}
	limit := in.limit(defaultPage)
	page, err := c.admin.CreationTemplates(ctx, last, limit)
	for _, t := range page {
		out.Templates = append(out.Templates, describeTemplate(t))
	}
	if len(page) == limit {
		out.NextToken = c.next("", page[len(page)-1].Prefix)
	}
	return out, err
}
