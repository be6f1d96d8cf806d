package ecr

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"berth/auth"
	"berth/registry"
)

// accountSetting is a setting with the values that it can have, the first by default.
type accountSetting struct {
	kept   registry.Setting
	values []string
}

// accountSettings are those of ECR. Mounting is on unless somebody says otherwise: clients
// of /v2/ expect it.
var accountSettings = map[string]accountSetting{
	"BASIC_SCAN_TYPE_VERSION": {registry.BasicScanTypeVersionSetting, []string{"AWS_NATIVE"}},
	"REGISTRY_POLICY_SCOPE":   {registry.RegistryPolicyScopeSetting, []string{"V2"}},
	"BLOB_MOUNTING":           {registry.BlobMountingSetting, []string{"ENABLED", "DISABLED"}},
}

type accountSettingInput struct {
	Name string `json:"name"`
}

func (in *accountSettingInput) validate(k *check) {
	k.required("name", in.Name != "")
	k.length("name", len(in.Name), 1, 64)
	k.enum("name", in.Name, "BASIC_SCAN_TYPE_VERSION", "BLOB_MOUNTING", "REGISTRY_POLICY_SCOPE")
}

func (in *accountSettingInput) parameters() auth.Parameters {
	return auth.Parameters{AccountSetting: in.Name}
}

type accountSettingOutput struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (c *call) getAccountSetting(ctx context.Context, in *accountSettingInput) (accountSettingOutput, error) {
	s := accountSettings[in.Name]
	out := accountSettingOutput{in.Name, s.values[0]}
	text, err := c.admin.Setting(ctx, s.kept)
	if errors.Is(err, registry.ErrNotSet) {
		return out, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &out.Value)
	}
	return out, err
}

type putAccountSettingInput struct {
	accountSettingInput
	Value string `json:"value"`
}

func (in *putAccountSettingInput) validate(k *check) {
	in.accountSettingInput.validate(k)
	k.required("value", in.Value != "")
	if s, known := accountSettings[in.Name]; known && !slices.Contains(s.values, in.Value) {
		k.enum("value", in.Value, s.values...)
	}
}

func (c *call) putAccountSetting(ctx context.Context, in *putAccountSettingInput) (accountSettingOutput, error) {
	text, err := json.Marshal(in.Value)
	if err != nil {
		return accountSettingOutput{}, err
	}
	_, err = c.admin.SetSetting(ctx, accountSettings[in.Name].kept, text)
	return accountSettingOutput{in.Name, in.Value}, err
}

type exclusionInput struct {
	Principal string `json:"principalArn"`
}

var principalPattern = newPattern(`arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+(/[\w+=,.@-]+)*`)

// maxExclusions is how many principals' pulls may not count.
const maxExclusions = 100

func (in *exclusionInput) validate(k *check) {
	k.required("principalArn", in.Principal != "")
	k.length("principalArn", len(in.Principal), 0, 200)
	k.matches("principalArn", in.Principal, principalPattern)
}

type exclusionOutput struct {
	Principal string  `json:"principalArn"`
	CreatedAt seconds `json:"createdAt,omitzero"`
}

func (c *call) registerExclusion(ctx context.Context, in *exclusionInput) (exclusionOutput, error) {
	added, err := c.admin.ExcludePullTime(ctx, in.Principal, maxExclusions)
	switch {
	case errors.Is(err, registry.ErrNameTaken):
		err = refusal("ExclusionAlreadyExists", "The principal '%s' is excluded already in the registry with id '%s'", in.Principal, c.account())
	case errors.Is(err, registry.ErrLimitExceeded):
		err = refusal("LimitExceeded", "At most %d principals can be excluded", maxExclusions)
	}
	return exclusionOutput{in.Principal, seconds(added.CreatedAt)}, err
}

func (c *call) deregisterExclusion(ctx context.Context, in *exclusionInput) (exclusionOutput, error) {
	err := c.admin.IncludePullTime(ctx, in.Principal)
	if errors.Is(err, registry.ErrNotSet) {
		err = refusal("ExclusionNotFound", "The principal '%s' is not excluded in the registry with id '%s'", in.Principal, c.account())
	}
	return exclusionOutput{Principal: in.Principal}, err
}

type listExclusionsInput struct{ pageInput }

func (in *listExclusionsInput) validate(k *check) { in.pageInput.validate(k, maxPage, "") }

type listExclusionsOutput struct {
	Principals []string `json:"pullTimeUpdateExclusions"`
	NextToken  string   `json:"nextToken,omitempty"`
}

func (c *call) listExclusions(ctx context.Context, in *listExclusionsInput) (listExclusionsOutput, error) {
	out := listExclusionsOutput{Principals: []string{}}
	var last string
	if err := c.resume(&in.pageInput, "", &last); err != nil {
		return out, err
	}
	limit := in.limit(defaultPage)
	page, err := c.admin.PullTimeExclusions(ctx, last, limit)
	for _, x := range page {
		out.Principals = append(out.Principals, x.Principal)
	}
	if len(page) == limit {
		out.NextToken = c.next("", page[len(page)-1].Principal)
	}
	return out, err
}
