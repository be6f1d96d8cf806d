package ecr

import (
	"fmt"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func arnOf(repo *string) *string {
	return new("arn:aws:ecr:" + region + ":" + account + ":repository/" + *repo)
}

func TestRepository(t *testing.T) {
	c := connect(t)
	name := new("life/of-a_repository.1")
	made := do(t, c.CreateRepository, &sdk.CreateRepositoryInput{
		RepositoryName: name, ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []types.ImageTagMutabilityExclusionFilter{{Filter: new("latest*"), FilterType: "WILDCARD"}},
		ImageScanningConfiguration:         &types.ImageScanningConfiguration{ScanOnPush: true},
		EncryptionConfiguration:            &types.EncryptionConfiguration{EncryptionType: "AES256"},
		Tags:                               []types.Tag{{Key: new("env"), Value: new("prod")}},
	}).Repository
	if *made.RepositoryArn != *arnOf(name) || *made.RegistryId != account || time.Since(*made.CreatedAt) > time.Minute ||
		"http://"+*made.RepositoryUri != target.url+"/"+*name || !made.ImageScanningConfiguration.ScanOnPush ||
		made.EncryptionConfiguration.EncryptionType != "AES256" || len(made.ImageTagMutabilityExclusionFilters) != 1 {
		t.Errorf("made %+v", made)
	}
	refused[*types.RepositoryAlreadyExistsException](t, c.CreateRepository, &sdk.CreateRepositoryInput{RepositoryName: name},
		"The repository with name '"+*name+"' already exists in the registry with id '"+account+"'")
	described := do(t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{*name}, RegistryId: new(account)}).Repositories
	if len(described) != 1 || *described[0].RepositoryArn != *made.RepositoryArn || !described[0].CreatedAt.Equal(*made.CreatedAt) {
		t.Errorf("described as %+v", described)
	}
	changed := do(t, c.PutImageTagMutability, &sdk.PutImageTagMutabilityInput{RepositoryName: name, ImageTagMutability: "MUTABLE"})
	if changed.ImageTagMutability != "MUTABLE" || changed.ImageTagMutabilityExclusionFilters != nil {
		t.Errorf("changed to %+v", changed)
	}
	if out := do(t, c.PutImageScanningConfiguration, &sdk.PutImageScanningConfigurationInput{
		RepositoryName: name, ImageScanningConfiguration: &types.ImageScanningConfiguration{},
	}); out.ImageScanningConfiguration.ScanOnPush {
		t.Error("it is still scanned")
	}
	push(t, c, name, "v1")
	refused[*types.RepositoryNotEmptyException](t, c.DeleteRepository, &sdk.DeleteRepositoryInput{RepositoryName: name},
		"The repository with name '"+*name+"' in registry with id '"+account+"' cannot be deleted because it still contains images")
	if gone := do(t, c.DeleteRepository, &sdk.DeleteRepositoryInput{RepositoryName: name, Force: true}).Repository; *gone.RepositoryName != *name {
		t.Errorf("gone is %+v", gone)
	}
}

func TestRepositoryPages(t *testing.T) {
	c := connect(t)
	for range 7 {
		newRepository(t, c)
	}
	seen := map[string]bool{}
	pages := sdk.NewDescribeRepositoriesPaginator(c, &sdk.DescribeRepositoriesInput{MaxResults: new(int32(3))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Repositories {
			if seen[*r.RepositoryName] {
				t.Errorf("%s twice", *r.RepositoryName)
			}
			seen[*r.RepositoryName] = true
		}
	}
	if len(seen) < 7 {
		t.Errorf("%d repositories", len(seen))
	}
	refused[*types.InvalidParameterException](t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{NextToken: new("made up")}, "")
	refused[*types.InvalidParameterException](t, c.DescribeRepositories, &sdk.DescribeRepositoriesInput{MaxResults: new(int32(1001))},
		"Invalid parameter at 'maxResults' failed to satisfy constraint: 'Member must have value less than or equal to 1000'")
}

func TestResourceTags(t *testing.T) {
	c := connect(t)
	name := newRepository(t, c)
	tag := func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
	do(t, c.TagResource, &sdk.TagResourceInput{ResourceArn: arnOf(name), Tags: []types.Tag{tag("a", "1"), tag("b", "")}})
	do(t, c.TagResource, &sdk.TagResourceInput{ResourceArn: arnOf(name), Tags: []types.Tag{tag("a", "2")}})
	do(t, c.UntagResource, &sdk.UntagResourceInput{ResourceArn: arnOf(name), TagKeys: []string{"b", "unknown"}})
	if tags := do(t, c.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceArn: arnOf(name)}).Tags; len(tags) != 1 || *tags[0].Value != "2" {
		t.Errorf("tags %v", tags)
	}
	refused[*types.InvalidTagParameterException](t, c.TagResource, &sdk.TagResourceInput{ResourceArn: arnOf(name), Tags: []types.Tag{tag("aws:x", "1")}}, "")
	refused[*types.InvalidTagParameterException](t, c.UntagResource, &sdk.UntagResourceInput{ResourceArn: arnOf(name), TagKeys: []string{""}}, "")
	var many []types.Tag
	for i := range 51 {
		many = append(many, tag(fmt.Sprint("k", i), ""))
	}
	refused[*types.TooManyTagsException](t, c.TagResource, &sdk.TagResourceInput{ResourceArn: arnOf(name), Tags: many}, "")
	refused[*types.TooManyTagsException](t, c.CreateRepository, &sdk.CreateRepositoryInput{RepositoryName: new("too/many"), Tags: many}, "")
	refused[*types.InvalidTagParameterException](t, c.CreateRepository, &sdk.CreateRepositoryInput{RepositoryName: new("too/many"), Tags: []types.Tag{tag("", "")}}, "")
}

// TestMutability moves tags in all modes, through the API and with a push.
func TestMutability(t *testing.T) {
	c := connect(t)
	filters := []types.ImageTagMutabilityExclusionFilter{{Filter: new("latest*"), FilterType: "WILDCARD"}}
	for _, test := range []struct {
		mode  types.ImageTagMutability
		tag   string
		fixed bool
	}{
		{"MUTABLE", "v1", false},
		{"IMMUTABLE", "v1", true},
		{"IMMUTABLE_WITH_EXCLUSION", "v1", true},
		{"IMMUTABLE_WITH_EXCLUSION", "latest-1", false},
		{"MUTABLE_WITH_EXCLUSION", "v1", false},
		{"MUTABLE_WITH_EXCLUSION", "latest-1", true},
	} {
		repo := newRepository(t, c, func(in *sdk.CreateRepositoryInput) {
			in.ImageTagMutability = test.mode
			if test.mode == "IMMUTABLE_WITH_EXCLUSION" || test.mode == "MUTABLE_WITH_EXCLUSION" {
				in.ImageTagMutabilityExclusionFilters = filters
			}
		})
		push(t, c, repo, test.tag)
		other := pushBlobs(t, c, repo, nil)
		in := &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &other.manifest, ImageTag: &test.tag}
		status := putByTag(t, *repo, test.tag, other)
		if test.fixed {
			refused[*types.ImageTagAlreadyExistsException](t, c.PutImage, in,
				"The image tag '"+test.tag+"' already exists in the '"+*repo+"' repository and cannot be overwritten because the tag is immutable.")
			if status != 400 {
				t.Errorf("%s, %s: a push is answered %d", test.mode, test.tag, status)
			}
			do(t, c.BatchDeleteImage, &sdk.BatchDeleteImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{tagged(test.tag)}})
			do(t, c.PutImage, in) // what was deleted can be pushed anew
			continue
		}
		if status != 201 {
			t.Errorf("%s, %s: a push is answered %d", test.mode, test.tag, status)
		}
		refused[*types.ImageAlreadyExistsException](t, c.PutImage, in, "")
	}
}
