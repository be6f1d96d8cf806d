package ecr

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

const (
	readOnly  = "AmazonEC2ContainerRegistryReadOnly"
	powerUser = "AmazonEC2ContainerRegistryPowerUser"
)

func arnOfUser(name string) string { return "arn:aws:iam::" + account + ":user/" + name }

func TestAuthorizationToken(t *testing.T) {
	c := connect(t)
	data := do(t, c.GetAuthorizationToken, &sdk.GetAuthorizationTokenInput{}).AuthorizationData
	if len(data) != 1 || *data[0].ProxyEndpoint != target.url || time.Until(*data[0].ExpiresAt) < 11*time.Hour || time.Until(*data[0].ExpiresAt) > 13*time.Hour {
		t.Errorf("%+v", data)
	}
	secret := password(t, c)
	for _, path := range []string{"/v2/", "/token?service=berth"} {
		if status := ask(t, secret, http.MethodGet, path, "", ""); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		if status := ask(t, secret+"x", http.MethodGet, path, "", ""); status != http.StatusUnauthorized {
			t.Errorf("%s with a wrong password: %d", path, status)
		}
	}
}

// TestRepositoryPolicy denies one user's push and allows another's pull.
func TestRepositoryPolicy(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	x := push(t, c, repo, "v1")
	pusher := as(newUser(t, "pusher", "pusher-password", powerUser))
	stranger := as(newUser(t, "stranger", "stranger-password"))
	get := &sdk.BatchGetImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{tagged("v1")}}
	_, err := stranger.BatchGetImage(t.Context(), get)
	denied(t, err)
	put(t, pusher, repo, x, "v2")

	name := &sdk.GetRepositoryPolicyInput{RepositoryName: repo}
	none := "Repository policy does not exist for the repository with name '" + *repo + "' in the registry with id '" + account + "'"
	refused[*types.RepositoryPolicyNotFoundException](t, c.GetRepositoryPolicy, name, none)
	refused[*types.RepositoryPolicyNotFoundException](t, c.DeleteRepositoryPolicy, &sdk.DeleteRepositoryPolicyInput{RepositoryName: repo}, none)
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Sid":"no pushes","Effect":"Deny","Principal":{"AWS":%q},"Action":"ecr:PutImage"},
		{"Sid":"pulls","Effect":"Allow","Principal":{"AWS":[%q]},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}]}`, arnOfUser("pusher"), arnOfUser("stranger"))
	do(t, c.SetRepositoryPolicy, &sdk.SetRepositoryPolicyInput{RepositoryName: repo, PolicyText: &policy})
	settle()
	if out := do(t, c.GetRepositoryPolicy, name); *out.PolicyText == "" || *out.RegistryId != account {
		t.Errorf("%+v", out)
	}
	do(t, stranger.BatchGetImage, get)
	_, err = pusher.PutImage(t.Context(), &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &x.manifest, ImageTag: new("v3")})
	denied(t, err)
	want := "User: " + arnOfUser("pusher") + " is not authorized to perform: ecr:PutImage on resource: " + *arnOf(repo) + " with an explicit deny in a resource-based policy"
	if got := fmt.Sprint(err); len(got) < len(want) || got[len(got)-len(want):] != want {
		t.Errorf("denied with %s", got)
	}
	secret := "stranger-password"
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, target.url+"/v2/"+*repo+"/manifests/v1", nil)
	r.SetBasicAuth("stranger", secret)
	if answer, err := http.DefaultClient.Do(r); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("a pull as docker does: %v %v", answer, err)
	}
	do(t, c.DeleteRepositoryPolicy, &sdk.DeleteRepositoryPolicyInput{RepositoryName: repo})
	settle()
	_, err = stranger.BatchGetImage(t.Context(), get)
	denied(t, err)

	for _, bad := range []string{
		"x", "{}", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:Fly"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + arnOfUser("nobody") + `"},"Action":"ecr:BatchGetImage"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr:SetRepositoryPolicy"}]}`,
	} {
		refused[*types.InvalidParameterException](t, c.SetRepositoryPolicy, &sdk.SetRepositoryPolicyInput{RepositoryName: repo, PolicyText: &bad}, "")
	}
	lockout := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr:SetRepositoryPolicy"}]}`
	do(t, c.SetRepositoryPolicy, &sdk.SetRepositoryPolicyInput{RepositoryName: repo, PolicyText: &lockout, Force: true})
}

func TestRegistryPolicy(t *testing.T) {
	c := connect(t)
	none := "Registry policy does not exist in the registry with id '" + account + "'"
	refused[*types.RegistryPolicyNotFoundException](t, c.GetRegistryPolicy, &sdk.GetRegistryPolicyInput{}, none)
	refused[*types.RegistryPolicyNotFoundException](t, c.DeleteRegistryPolicy, &sdk.DeleteRegistryPolicyInput{}, none)
	repo := newRepository(t, c)
	reader := as(newUser(t, "registry-reader", "registry-reader-password"))
	list := &sdk.ListImagesInput{RepositoryName: repo}
	_, err := reader.ListImages(t.Context(), list)
	denied(t, err)
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"lists","Effect":"Allow","Principal":{"AWS":%q},"Action":"ecr:ListImages","Resource":%q}]}`, arnOfUser("registry-reader"), *arnOf(repo))
	do(t, c.PutRegistryPolicy, &sdk.PutRegistryPolicyInput{PolicyText: &policy})
	settle()
	do(t, reader.ListImages, list)
	do(t, c.GetRegistryPolicy, &sdk.GetRegistryPolicyInput{})
	do(t, c.DeleteRegistryPolicy, &sdk.DeleteRegistryPolicyInput{})
	settle()
	_, err = reader.ListImages(t.Context(), list)
	denied(t, err)
}

// TestNobodyLearns: who may do nothing hears the same whether a repository is there or not.
func TestNobodyLearns(t *testing.T) {
	c := connect(t)
	there := newRepository(t, c)
	nobody := as(newUser(t, "may-nothing", "may-nothing-password"))
	for _, name := range []*string{there, new("absent")} {
		_, err := nobody.DescribeImages(t.Context(), &sdk.DescribeImagesInput{RepositoryName: name})
		denied(t, err)
		_, err = nobody.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: name})
		denied(t, err)
		_, err = nobody.DescribeRepositories(t.Context(), &sdk.DescribeRepositoriesInput{RepositoryNames: []string{*name}})
		denied(t, err)
	}
	if seen := do(t, nobody.DescribeRepositories, &sdk.DescribeRepositoriesInput{}).Repositories; len(seen) != 0 {
		t.Errorf("it sees %+v", seen)
	}
	reader := as(newUser(t, "only-reads", "only-reads-password", readOnly))
	do(t, reader.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: there})
	_, err := reader.DeleteRepository(t.Context(), &sdk.DeleteRepositoryInput{RepositoryName: there})
	denied(t, err)
}

func TestLifecyclePolicy(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	none := "Lifecycle policy does not exist for the repository with name '" + *repo + "' in the registry with id '" + account + "'"
	refused[*types.LifecyclePolicyNotFoundException](t, c.GetLifecyclePolicy, &sdk.GetLifecyclePolicyInput{RepositoryName: repo}, none)
	refused[*types.LifecyclePolicyNotFoundException](t, c.DeleteLifecyclePolicy, &sdk.DeleteLifecyclePolicyInput{RepositoryName: repo}, none)
	refused[*types.LifecyclePolicyNotFoundException](t, c.StartLifecyclePolicyPreview, &sdk.StartLifecyclePolicyPreviewInput{RepositoryName: repo}, none)
	do(t, c.PutLifecyclePolicy, &sdk.PutLifecyclePolicyInput{RepositoryName: repo, LifecyclePolicyText: new(lifecyclePolicy)})
	if out := do(t, c.GetLifecyclePolicy, &sdk.GetLifecyclePolicyInput{RepositoryName: repo}); *out.LifecyclePolicyText != lifecyclePolicy {
		t.Errorf("%+v", out)
	}
	bad := `{"rules":[{"rulePriority":1,"description":"tagged without tags","selection":{"tagStatus":"tagged","countType":"imageCountMoreThan","countNumber":100},"action":{"type":"expire"}}]}`
	refused[*types.InvalidParameterException](t, c.PutLifecyclePolicy, &sdk.PutLifecyclePolicyInput{RepositoryName: repo, LifecyclePolicyText: &bad}, "")
	refused[*types.InvalidParameterException](t, c.StartLifecyclePolicyPreview, &sdk.StartLifecyclePolicyPreviewInput{RepositoryName: repo, LifecyclePolicyText: &bad}, "")
	refused[*types.LifecyclePolicyPreviewNotFoundException](t, c.GetLifecyclePolicyPreview, &sdk.GetLifecyclePolicyPreviewInput{RepositoryName: repo}, "")
	do(t, c.DeleteLifecyclePolicy, &sdk.DeleteLifecyclePolicyInput{RepositoryName: repo})
}
