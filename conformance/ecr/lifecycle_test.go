package ecr

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// keepTwo deletes all but two images; archiveOne archives all but four, if they are not v0.
const (
	keepTwo = `{"rules":[{"rulePriority":7,"description":"keep the last two of them","selection":` +
		`{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":2},"action":{"type":"expire"}}]}`
	archiveOne = `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["v0"],"countType":"imageCountMoreThan","countNumber":9},` +
		`"action":{"type":"expire"}},{"rulePriority":2,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":4},` +
		`"action":{"type":"transition","targetStorageClass":"archive"}}]}`
)

// preview tries a policy out, as the waiter of the SDK waits for it.
func preview(t *testing.T, c *sdk.Client, repo, policy *string) *sdk.GetLifecyclePolicyPreviewOutput {
	t.Helper()
	started := do(t, c.StartLifecyclePolicyPreview, &sdk.StartLifecyclePolicyPreviewInput{RepositoryName: repo, LifecyclePolicyText: policy})
	if started.Status != "IN_PROGRESS" || *started.RepositoryName != *repo || policy != nil && *started.LifecyclePolicyText != *policy {
		t.Errorf("started: %+v", started)
	}
	waiter := sdk.NewLifecyclePolicyPreviewCompleteWaiter(c, func(o *sdk.LifecyclePolicyPreviewCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 200*time.Millisecond
	})
	out, err := waiter.WaitForOutput(t.Context(), &sdk.GetLifecyclePolicyPreviewInput{RepositoryName: repo}, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestLifecyclePreview: a preview tells what a policy would do, and changes nothing.
func TestLifecyclePreview(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	var pushed []string // the oldest first
	for i := range 6 {
		pushed = append(pushed, push(t, c, repo, fmt.Sprintf("v%d", i)).digest)
	}
	out := preview(t, c, repo, new(keepTwo))
	if n := out.Summary; len(out.PreviewResults) != 4 || *n.ExpiringImageTotalCount != 4 || n.TransitioningImageTotalCounts != nil {
		t.Errorf("%d results, %+v", len(out.PreviewResults), n)
	}
	for _, r := range out.PreviewResults {
		if r.Action.Type != "EXPIRE" || *r.AppliedRulePriority != 7 || len(r.ImageTags) != 1 || r.ImagePushedAt == nil || r.StorageClass != "STANDARD" {
			t.Errorf("%+v", r)
		}
	}
	get := func(change func(*sdk.GetLifecyclePolicyPreviewInput)) *sdk.GetLifecyclePolicyPreviewOutput {
		t.Helper()
		in := &sdk.GetLifecyclePolicyPreviewInput{RepositoryName: repo}
		change(in)
		return do(t, c.GetLifecyclePolicyPreview, in)
	}
	first := get(func(in *sdk.GetLifecyclePolicyPreviewInput) { in.MaxResults = new(int32(3)) })
	rest := get(func(in *sdk.GetLifecyclePolicyPreviewInput) {
		in.MaxResults, in.NextToken = new(int32(3)), first.NextToken
	})
	if len(first.PreviewResults) != 3 || len(rest.PreviewResults) != 1 || rest.NextToken != nil {
		t.Errorf("pages of %d and %d", len(first.PreviewResults), len(rest.PreviewResults))
	}
	asked := []types.ImageIdentifier{{ImageDigest: &pushed[0]}, {ImageTag: new("v5")}, {ImageTag: new("none")}}
	if some := get(func(in *sdk.GetLifecyclePolicyPreviewInput) { in.ImageIds = asked }).PreviewResults; len(some) != 1 || *some[0].ImageDigest != pushed[0] {
		t.Errorf("of three images that are asked for: %+v", some)
	}
	for status, n := range map[types.TagStatus]int{"TAGGED": 4, "UNTAGGED": 0, "ANY": 4} {
		filtered := get(func(in *sdk.GetLifecyclePolicyPreviewInput) {
			in.Filter = &types.LifecyclePolicyPreviewFilter{TagStatus: status}
		})
		if len(filtered.PreviewResults) != n {
			t.Errorf("%d images are %s", len(filtered.PreviewResults), status)
		}
	}
	refused[*types.InvalidParameterException](t, c.GetLifecyclePolicyPreview, &sdk.GetLifecyclePolicyPreviewInput{RepositoryName: repo, MaxResults: new(int32(101))}, "")
	refused[*types.InvalidParameterException](t, c.GetLifecyclePolicyPreview, &sdk.GetLifecyclePolicyPreviewInput{RepositoryName: repo, ImageIds: asked, MaxResults: new(int32(1))}, "")

	archives := preview(t, c, repo, new(archiveOne))
	if n := archives.Summary; *n.ExpiringImageTotalCount != 0 || len(n.TransitioningImageTotalCounts) != 1 || *n.TransitioningImageTotalCounts[0].ImageTotalCount != 1 {
		t.Errorf("%+v", n)
	}
	if r := archives.PreviewResults; len(r) != 1 || r[0].Action.Type != "TRANSITION" || r[0].Action.TargetStorageClass != "ARCHIVE" || *r[0].ImageDigest != pushed[1] {
		t.Errorf("%+v", r)
	}
	if all := do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo}).ImageDetails; len(all) != 6 {
		t.Errorf("%d images are left after a preview", len(all))
	}
}

// TestPreviewInProgress: one at a time.
func TestPreviewInProgress(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	for range 50 {
		var busy bool
		var mu sync.Mutex
		var work sync.WaitGroup
		for range 8 {
			work.Go(func() {
				_, err := c.StartLifecyclePolicyPreview(t.Context(), &sdk.StartLifecyclePolicyPreviewInput{RepositoryName: repo, LifecyclePolicyText: new(keepTwo)})
				mu.Lock()
				defer mu.Unlock()
				if e := (*types.LifecyclePolicyPreviewInProgressException)(nil); errors.As(err, &e) {
					busy = true
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		if work.Wait(); busy {
			return
		}
	}
	t.Error("of eight previews at once none was refused, fifty times")
}

// TestLifecycleApplied: a policy is applied soon after it has been put, to immutable tags too.
func TestLifecycleApplied(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c, func(in *sdk.CreateRepositoryInput) { in.ImageTagMutability = "IMMUTABLE" })
	for i := range 5 {
		push(t, c, repo, fmt.Sprintf("v%d", i))
	}
	do(t, c.PutLifecyclePolicy, &sdk.PutLifecyclePolicyInput{RepositoryName: repo, LifecyclePolicyText: new(keepTwo)})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		p := do(t, c.GetLifecyclePolicy, &sdk.GetLifecyclePolicyInput{RepositoryName: repo})
		if p.LastEvaluatedAt != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the policy is not applied")
		}
	}
	left := do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo}).ImageDetails
	if len(left) != 2 {
		t.Errorf("%d images are left", len(left))
	}
	for _, image := range left {
		if tag := image.ImageTags[0]; tag != "v3" && tag != "v4" {
			t.Errorf("%s is left", tag)
		}
	}
}
