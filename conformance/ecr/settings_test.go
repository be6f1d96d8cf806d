package ecr

import (
	"fmt"
	"net/http"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func TestScanning(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	rules := []types.RegistryScanningRule{{
		ScanFrequency: "SCAN_ON_PUSH", RepositoryFilters: []types.ScanningRepositoryFilter{{Filter: new("testscanning/*"), FilterType: "WILDCARD"}},
	}}
	put := do(t, c.PutRegistryScanningConfiguration, &sdk.PutRegistryScanningConfigurationInput{ScanType: "BASIC", Rules: rules})
	got := do(t, c.GetRegistryScanningConfiguration, &sdk.GetRegistryScanningConfigurationInput{})
	if len(put.RegistryScanningConfiguration.Rules) != 1 || len(got.ScanningConfiguration.Rules) != 1 || got.ScanningConfiguration.ScanType != "BASIC" || *got.RegistryId != account {
		t.Errorf("%+v %+v", put, got)
	}
	batch := do(t, c.BatchGetRepositoryScanningConfiguration, &sdk.BatchGetRepositoryScanningConfigurationInput{RepositoryNames: []string{*repo, goneRepo}})
	if len(batch.ScanningConfigurations) != 1 || batch.ScanningConfigurations[0].ScanFrequency != "SCAN_ON_PUSH" || !batch.ScanningConfigurations[0].ScanOnPush ||
		len(batch.ScanningConfigurations[0].AppliedScanFilters) != 1 || len(batch.Failures) != 1 || batch.Failures[0].FailureCode != "REPOSITORY_NOT_FOUND" {
		t.Errorf("%+v", batch)
	}
	refused[*types.InvalidParameterException](t, c.PutRegistryScanningConfiguration, &sdk.PutRegistryScanningConfigurationInput{
		ScanType: "BASIC", Rules: []types.RegistryScanningRule{{ScanFrequency: "CONTINUOUS_SCAN", RepositoryFilters: []types.ScanningRepositoryFilter{}}},
	}, "")
	do(t, c.PutRegistryScanningConfiguration, &sdk.PutRegistryScanningConfigurationInput{ScanType: "BASIC"})
}

func TestAccountSettings(t *testing.T) {
	c := connect(t)
	name := new("BLOB_MOUNTING")
	from, to := newRepository(t, c), newRepository(t, c)
	x := push(t, c, from, "v1")
	mount := "/v2/" + *to + "/blobs/uploads/?mount=" + x.layer + "&from=" + *from
	for _, test := range []struct {
		value  string
		status int
	}{{"DISABLED", http.StatusAccepted}, {"ENABLED", http.StatusCreated}} {
		do(t, c.PutAccountSetting, &sdk.PutAccountSettingInput{Name: name, Value: &test.value})
		if out := do(t, c.GetAccountSetting, &sdk.GetAccountSettingInput{Name: name}); *out.Value != test.value {
			t.Errorf("%s is %s", test.value, *out.Value)
		}
		if got := ask(t, password(t, c), http.MethodPost, mount, "", ""); got != test.status {
			t.Errorf("a mount with %s: %d", test.value, got)
		}
	}
	refused[*types.InvalidParameterException](t, c.PutAccountSetting, &sdk.PutAccountSettingInput{Name: name, Value: new("SOME")}, "")
}

// TestTemplates: what is pushed to is made as the closest template says.
func TestTemplates(t *testing.T) {
	c := connect(t)
	prefix := new("templated")
	made := do(t, c.CreateRepositoryCreationTemplate, &sdk.CreateRepositoryCreationTemplateInput{
		Prefix: prefix, AppliedFor: []types.RCTAppliedFor{"CREATE_ON_PUSH", "REPLICATION"}, Description: new("of a team"),
		ImageTagMutability: "IMMUTABLE", ResourceTags: []types.Tag{{Key: new("team"), Value: new("a")}},
		RepositoryPolicy: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:BatchGetImage"}]}`),
		LifecyclePolicy:  new(lifecyclePolicy),
	}).RepositoryCreationTemplate
	if *made.Prefix != *prefix || made.ImageTagMutability != "IMMUTABLE" || made.CreatedAt == nil || len(made.AppliedFor) != 2 {
		t.Errorf("%+v", made)
	}
	refused[*types.TemplateAlreadyExistsException](t, c.CreateRepositoryCreationTemplate,
		&sdk.CreateRepositoryCreationTemplateInput{Prefix: prefix, AppliedFor: []types.RCTAppliedFor{"CREATE_ON_PUSH"}}, "")
	changed := do(t, c.UpdateRepositoryCreationTemplate, &sdk.UpdateRepositoryCreationTemplateInput{Prefix: prefix, Description: new("of another")}).RepositoryCreationTemplate
	if *changed.Description != "of another" || changed.ImageTagMutability != "IMMUTABLE" {
		t.Errorf("%+v", changed)
	}
	if list := do(t, c.DescribeRepositoryCreationTemplates, &sdk.DescribeRepositoryCreationTemplatesInput{Prefixes: []string{*prefix, "none"}}).RepositoryCreationTemplates; len(list) != 1 {
		t.Errorf("%+v", list)
	}
	secret := password(t, c)
	if status := ask(t, secret, http.MethodPost, "/v2/elsewhere/app/blobs/uploads/", "", ""); status != http.StatusNotFound {
		t.Errorf("a push where no template is: %d", status)
	}
	blob := "a blob"
	if status := ask(t, secret, http.MethodPost, "/v2/templated/app/blobs/uploads/?digest="+digestOf([]byte(blob)), "application/octet-stream", blob); status != http.StatusCreated {
		t.Fatalf("a push where a template is: %d", status)
	}
	r := do(t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"templated/app"}}).Repositories[0]
	tags := do(t, c.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceArn: r.RepositoryArn}).Tags
	if r.ImageTagMutability != "IMMUTABLE" || len(tags) != 1 || *tags[0].Value != "a" {
		t.Errorf("made as %+v with %+v", r, tags)
	}
	do(t, c.GetRepositoryPolicy, &sdk.GetRepositoryPolicyInput{RepositoryName: r.RepositoryName})
	do(t, c.GetLifecyclePolicy, &sdk.GetLifecyclePolicyInput{RepositoryName: r.RepositoryName})
	do(t, c.DeleteRepositoryCreationTemplate, &sdk.DeleteRepositoryCreationTemplateInput{Prefix: prefix})
	refused[*types.TemplateNotFoundException](t, c.DeleteRepositoryCreationTemplate, &sdk.DeleteRepositoryCreationTemplateInput{Prefix: prefix}, "")
	refused[*types.TemplateNotFoundException](t, c.UpdateRepositoryCreationTemplate, &sdk.UpdateRepositoryCreationTemplateInput{Prefix: prefix}, "")
}

func TestPullTimes(t *testing.T) {
	c := connect(t)
	role := func(i int) *string { return new(fmt.Sprintf("arn:aws:iam::%s:role/scanner-%d", account, i)) }
	for i := range 100 {
		do(t, c.RegisterPullTimeUpdateExclusion, &sdk.RegisterPullTimeUpdateExclusionInput{PrincipalArn: role(i)})
	}
	refused[*types.ExclusionAlreadyExistsException](t, c.RegisterPullTimeUpdateExclusion, &sdk.RegisterPullTimeUpdateExclusionInput{PrincipalArn: role(1)}, "")
	refused[*types.LimitExceededException](t, c.RegisterPullTimeUpdateExclusion, &sdk.RegisterPullTimeUpdateExclusionInput{PrincipalArn: role(100)}, "")
	first := do(t, c.ListPullTimeUpdateExclusions, &sdk.ListPullTimeUpdateExclusionsInput{MaxResults: new(int32(60))})
	rest := do(t, c.ListPullTimeUpdateExclusions, &sdk.ListPullTimeUpdateExclusionsInput{MaxResults: new(int32(60)), NextToken: first.NextToken})
	if len(first.PullTimeUpdateExclusions) != 60 || len(rest.PullTimeUpdateExclusions) != 40 || rest.NextToken != nil {
		t.Errorf("%d and %d", len(first.PullTimeUpdateExclusions), len(rest.PullTimeUpdateExclusions))
	}
	for i := range 100 {
		do(t, c.DeregisterPullTimeUpdateExclusion, &sdk.DeregisterPullTimeUpdateExclusionInput{PrincipalArn: role(i)})
	}
	refused[*types.ExclusionNotFoundException](t, c.DeregisterPullTimeUpdateExclusion, &sdk.DeregisterPullTimeUpdateExclusionInput{PrincipalArn: role(1)}, "")
}

// TestNotHere asks for what berth does not have.
func TestNotHere(t *testing.T) {
	c := connect(t)
	if out := do(t, c.DescribeRegistry, &sdk.DescribeRegistryInput{}); *out.RegistryId != account || len(out.ReplicationConfiguration.Rules) != 0 {
		t.Errorf("%+v", out)
	}
	do(t, c.PutReplicationConfiguration, &sdk.PutReplicationConfigurationInput{ReplicationConfiguration: &types.ReplicationConfiguration{Rules: []types.ReplicationRule{}}})
	rule := types.ReplicationRule{Destinations: []types.ReplicationDestination{{Region: new("eu-west-2"), RegistryId: new(account)}}}
	refused[*types.ValidationException](t, c.PutReplicationConfiguration,
		&sdk.PutReplicationConfigurationInput{ReplicationConfiguration: &types.ReplicationConfiguration{Rules: []types.ReplicationRule{rule}}}, "")
	for operation, want := range map[string]string{
		"StartReplicationBackfill":           "ValidationException",
		"StopReplicationBackfill":            "ReplicationBackfillNotFoundException",
		"DescribeReplicationBackfillResults": "ReplicationBackfillNotFoundException",
		"ListReplicationBackfills":           "",
		"PutSigningConfiguration":            "ValidationException",
		"GetSigningConfiguration":            "SigningConfigurationNotFoundException",
		"DeleteSigningConfiguration":         "SigningConfigurationNotFoundException",
		"CreatePullThroughCacheRule":         "UnsupportedUpstreamRegistryException",
		"DescribePullThroughCacheRules":      "PullThroughCacheRuleNotFoundException",
		"UpdatePullThroughCacheRule":         "PullThroughCacheRuleNotFoundException",
		"DeletePullThroughCacheRule":         "PullThroughCacheRuleNotFoundException",
		"ValidatePullThroughCacheRule":       "PullThroughCacheRuleNotFoundException",
	} {
		if got, message := byHand(t, operation, inputs()[operation]); got != want {
			t.Errorf("%s: %s %s", operation, got, message)
		}
	}
	if out := do(t, c.DescribePullThroughCacheRules, &sdk.DescribePullThroughCacheRulesInput{}); len(out.PullThroughCacheRules) != 0 {
		t.Errorf("%+v", out)
	}
}
