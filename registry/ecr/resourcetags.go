package ecr

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"berth/auth"
	"berth/registry"
)

// maxResourceTags is how many a repository may have.
const maxResourceTags = 50

type resourceTag struct {
	Key   *string `json:"Key"`
	Value *string `json:"Value"`
}

// given is the tags as conditions of policies see them.
func given(tags []resourceTag) auth.Parameters {
	p := auth.Parameters{Tags: map[string]string{}}
	for _, t := range tags {
		if t.Key != nil && t.Value != nil {
			p.Tags[*t.Key] = *t.Value
		}
	}
	return p
}

// mergeTags adds tags to those of a repository.
func mergeTags(to map[string]string, tags []resourceTag) (map[string]string, error) {
	merged := maps.Clone(to)
	if merged == nil && len(tags) > 0 {
		merged = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range tags {
		if t.Key == nil || t.Value == nil {
			return nil, refusal("InvalidTagParameter", "a tag needs both a Key and a Value")
		}
		if err := checkTagKey(*t.Key); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(*t.Value) > 256 {
			return nil, refusal("InvalidTagParameter", "the Value of the tag '%s' has more than 256 characters", *t.Key)
		}
		if seen[*t.Key] {
			return nil, refusal("InvalidTagParameter", "the tag '%s' is given twice", *t.Key)
		}
		seen[*t.Key] = true
		merged[*t.Key] = *t.Value
	}
	if len(merged) > maxResourceTags {
		return nil, refusal("TooManyTags", "a repository can have at most %d tags", maxResourceTags)
	}
	return merged, nil
}

func checkTagKey(key string) error {
	switch n := utf8.RuneCountInString(key); {
	case n < 1 || n > 128:
		return refusal("InvalidTagParameter", "the Key of a tag has 1 to 128 characters, not %d", n)
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return refusal("InvalidTagParameter", "tags whose Key begins with 'aws:' are reserved")
	}
	return nil
}

// resourceInput is the part of an input that names a repository by its ARN.
type resourceInput struct {
	ARN string `json:"resourceArn"`

	name registry.Name
}

func (in *resourceInput) about() (string, registry.Name) { return "", in.name }

func (in *resourceInput) validate(k *check) {
	k.required("resourceArn", in.ARN != "")
	parts := strings.SplitN(in.ARN, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" && strings.HasPrefix(parts[1], "aws") && parts[2] == "ecr" {
		if name, ok := strings.CutPrefix(parts[5], "repository/"); ok {
			if parsed, err := registry.ParseName(name); err == nil {
				in.name = parsed
				return
			}
		}
	}
	k.fail("resourceArn", "Invalid ARN")
}

// ours refuses the ARN of a repository that is elsewhere.
func (c *call) ours(in *resourceInput) error {
	if in.ARN != c.opts.Location.ARN(in.name) {
		return invalid("resourceArn", "Invalid ARN")
	}
	return nil
}

type tagResourceInput struct {
	resourceInput
	Tags []resourceTag `json:"tags"`
}

func (in *tagResourceInput) validate(k *check) {
	in.resourceInput.validate(k)
	k.required("tags", in.Tags != nil)
}

func (in *tagResourceInput) parameters() auth.Parameters { return given(in.Tags) }

func (c *call) tagResource(ctx context.Context, in *tagResourceInput) (struct{}, error) {
	return struct{}{}, c.changeTags(ctx, &in.resourceInput, func(tags map[string]string) (map[string]string, error) {
		return mergeTags(tags, in.Tags)
	})
}

func (c *call) changeTags(ctx context.Context, in *resourceInput, change func(map[string]string) (map[string]string, error)) error {
	if err := c.ours(in); err != nil {
		return err
	}
	_, err := c.admin.ChangeSettings(ctx, in.name, func(s *registry.Settings) (err error) {
		s.ResourceTags, err = change(s.ResourceTags)
		return err
	})
	return err
}

type untagResourceInput struct {
	resourceInput
	Keys []string `json:"tagKeys"`
}

func (in *untagResourceInput) validate(k *check) {
	in.resourceInput.validate(k)
	k.required("tagKeys", in.Keys != nil)
}

func (in *untagResourceInput) parameters() auth.Parameters {
	return auth.Parameters{Untagged: in.Keys}
}

func (c *call) untagResource(ctx context.Context, in *untagResourceInput) (struct{}, error) {
	for _, key := range in.Keys {
		if err := checkTagKey(key); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, c.changeTags(ctx, &in.resourceInput, func(tags map[string]string) (map[string]string, error) {
		tags = maps.Clone(tags)
		for _, key := range in.Keys {
			delete(tags, key)
		}
		return tags, nil
	})
}

type tag struct {
	Key   string
	Value string
}

type listTagsOutput struct {
	Tags []tag `json:"tags"`
}

func (c *call) listTagsForResource(ctx context.Context, in *resourceInput) (listTagsOutput, error) {
	out := listTagsOutput{Tags: []tag{}}
	if err := c.ours(in); err != nil {
		return out, err
	}
	r, err := c.admin.Repository(ctx, in.name)
	return listTagsOutput{append(out.Tags, tagsOf(r.ResourceTags)...)}, err
}

// tagsOf lists tags by key.
func tagsOf(all map[string]string) []tag {
	var list []tag
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, tag{key, all[key]})
	}
	return list
}
