package ecr

import "context"

// There is no pull-through cache. Inputs are read as far as it takes to say so, and a list is empty.

// prefixInput names a pull-through cache rule.
type prefixInput struct {
	registryInput
	Prefix string `json:"ecrRepositoryPrefix"`
}

func (in *prefixInput) validate(k *check) {
	in.registryInput.validate(k)
	k.required("ecrRepositoryPrefix", in.Prefix != "")
	k.length("ecrRepositoryPrefix", len(in.Prefix), 2, 30)
	k.matches("ecrRepositoryPrefix", in.Prefix, templatePrefixPattern)
}

type createRuleInput struct {
	prefixInput
	URL string `json:"upstreamRegistryUrl"`
}

func (in *createRuleInput) validate(k *check) {
	in.prefixInput.validate(k)
	k.required("upstreamRegistryUrl", in.URL != "")
}

func (c *call) createPullThroughCacheRule(_ context.Context, in *createRuleInput) (struct{}, error) {
	return struct{}{}, refusal("UnsupportedUpstreamRegistry", "The upstream registry '%s' cannot be used: this registry has no pull-through cache", in.URL)
}

func (c *call) noPullThroughCacheRule(_ context.Context, in *prefixInput) (struct{}, error) {
	return struct{}{}, c.noRule(in.Prefix)
}

func (c *call) noRule(prefix string) error {
	return refusal("PullThroughCacheRuleNotFound", "Pull through cache rule with prefix '%s' does not exist in the registry with id '%s'", prefix, c.account())
}

type describeRulesInput struct {
	registryInput
	pageInput
	Prefixes []string `json:"ecrRepositoryPrefixes"`
}

func (in *describeRulesInput) validate(k *check) {
	in.registryInput.validate(k)
	if in.Prefixes == nil {
		in.pageInput.validate(k, maxPage, "")
		return
	}
	in.pageInput.validate(k, maxPage, "ecrRepositoryPrefixes")
	k.length("ecrRepositoryPrefixes", len(in.Prefixes), 1, 100)
}

type rulesOutput struct {
	Rules []struct{} `json:"pullThroughCacheRules"`
}

func (c *call) describePullThroughCacheRules(_ context.Context, in *describeRulesInput) (rulesOutput, error) {
	if len(in.Prefixes) > 0 {
		return rulesOutput{}, c.noRule(in.Prefixes[0])
	}
	return rulesOutput{[]struct{}{}}, nil
}
