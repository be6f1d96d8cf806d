package ecr

import (
	"context"
	"fmt"
	"strings"

	"berth/registry"
)

type exclusionFilter struct {
	Type   string `json:"filterType"`
	Filter string `json:"filter"`
}

func filtersOf(m registry.Mutability) []exclusionFilter {
	var list []exclusionFilter
	for _, p := range m.Exclusions {
		list = append(list, exclusionFilter{"WILDCARD", p})
	}
	return list
}

// mutabilityInput is the part of an input that says which tags can be moved.
type mutabilityInput struct {
	Mode       registry.TagMode  `json:"imageTagMutability"`
	Exclusions []exclusionFilter `json:"imageTagMutabilityExclusionFilters"`
}

var exclusionPattern = newPattern(`[0-9a-zA-Z._*-]{1,128}`)

// maxStars is how many * an exclusion filter may have.
const maxStars = 2

func (in *mutabilityInput) validate(k *check) {
	const filters = "imageTagMutabilityExclusionFilters"
	k.enum("imageTagMutability", string(in.Mode),
		string(registry.Immutable), string(registry.Mutable), string(registry.ImmutableWithExclusion), string(registry.MutableWithExclusion))
	excludes := in.Mode == registry.ImmutableWithExclusion || in.Mode == registry.MutableWithExclusion
	if excludes {
		k.required(filters, len(in.Exclusions) > 0)
	} else if in.Exclusions != nil {
		k.fail(filters, "Member must not be given with the mode %s", in.mutability().Mode)
	}
	k.length(filters, len(in.Exclusions), 0, 5)
	for i, f := range in.Exclusions {
		k.enum(fmt.Sprintf("%s[%d].filterType", filters, i), f.Type, "WILDCARD")
		k.required(fmt.Sprintf("%s[%d].filterType", filters, i), f.Type != "")
		k.matches(fmt.Sprintf("%s[%d].filter", filters, i), f.Filter, exclusionPattern)
		if strings.Count(f.Filter, "*") > maxStars {
			k.fail(fmt.Sprintf("%s[%d].filter", filters, i), "Member must have at most %d wildcards", maxStars)
		}
	}
}

func (in *mutabilityInput) mutability() registry.Mutability {
	m := registry.Mutability{Mode: in.Mode}
	if m.Mode == "" {
		m.Mode = registry.Mutable
	}
	for _, f := range in.Exclusions {
		m.Exclusions = append(m.Exclusions, f.Filter)
	}
	return m
}

type putImageTagMutabilityInput struct {
	repositoryInput
	mutabilityInput
}

func (in *putImageTagMutabilityInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.required("imageTagMutability", in.Mode != "")
	in.mutabilityInput.validate(k)
}

type putImageTagMutabilityOutput struct {
	RegistryID string            `json:"registryId"`
	Name       registry.Name     `json:"repositoryName"`
	Mode       registry.TagMode  `json:"imageTagMutability"`
	Exclusions []exclusionFilter `json:"imageTagMutabilityExclusionFilters,omitempty"`
}

func (c *call) putImageTagMutability(ctx context.Context, in *putImageTagMutabilityInput) (putImageTagMutabilityOutput, error) {
	r, err := c.admin.ChangeSettings(ctx, in.RepositoryName, func(s *registry.Settings) error {
		s.Mutability = in.mutability()
		return nil
	})
	return putImageTagMutabilityOutput{c.account(), in.RepositoryName, r.Mutability.Mode, filtersOf(r.Mutability)}, err
}
