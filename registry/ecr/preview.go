package ecr

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

type startPreviewInput struct {
	repositoryInput
	Policy *string `json:"lifecyclePolicyText"`
}

func (in *startPreviewInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.lifecyclePolicy(in.Policy)
}

type startPreviewOutput struct {
	RegistryID string                 `json:"registryId"`
	Repository registry.Name          `json:"repositoryName"`
	Policy     string                 `json:"lifecyclePolicyText"`
	Status     registry.PreviewStatus `json:"status"`
}

func (c *call) startLifecyclePolicyPreview(ctx context.Context, in *startPreviewInput) (startPreviewOutput, error) {
	out := startPreviewOutput{RegistryID: c.account(), Repository: in.RepositoryName}
	if c.opts.ReadOnly {
		return out, errReadOnly // and nobody is there to do it
	}
	if _, err := c.admin.Repository(ctx, in.RepositoryName); err != nil {
		return out, err
	}
	var text json.RawMessage
	if in.Policy != nil {
		if err := c.opts.Policies.ParseLifecyclePolicy(*in.Policy); err != nil {
			return out, invalid("LifecyclePolicyText", err.Error())
		}
		text = json.RawMessage(*in.Policy)
	}
	p, err := c.admin.StartLifecyclePreview(ctx, in.RepositoryName, text)
	switch {
	case errors.Is(err, registry.ErrNotSet):
		err = c.lifecyclePolicyNotFound(in.RepositoryName)
	case errors.Is(err, registry.ErrPreviewRunning):
		err = refusal("LifecyclePolicyPreviewInProgress", "A lifecycle policy preview is in progress for the repository with name '%s' in the registry with id '%s'", in.RepositoryName, c.account())
	}
	out.Policy, out.Status = string(p.Policy), p.Status
	return out, err
}

// maxPreviewPage is the most results of a preview in an answer.
const maxPreviewPage = 100

type previewFilter struct {
	Tags string `json:"tagStatus"`
}

type getPreviewInput struct {
	repositoryInput
	pageInput
	IDs    []imageID     `json:"imageIds"`
	Filter previewFilter `json:"filter"`
}

func (in *getPreviewInput) validate(k *check) {
	in.repositoryInput.validate(k)
	k.enum("filter.tagStatus", in.Filter.Tags, "TAGGED", "UNTAGGED", "ANY")
	if in.IDs == nil {
		in.pageInput.validate(k, maxPreviewPage, "")
		return
	}
	in.pageInput.validate(k, maxPreviewPage, "imageIds")
	k.length("imageIds", len(in.IDs), 1, maxImageIDs)
}

type previewAction struct {
	Type   string `json:"type"`
	Target string `json:"targetStorageClass,omitempty"`
}

type previewResult struct {
	Tags     []registry.Tag `json:"imageTags"`
	Digest   digest.Digest  `json:"imageDigest"`
	PushedAt seconds        `json:"imagePushedAt"`
	Action   previewAction  `json:"action"`
	Rule     int            `json:"appliedRulePriority"`
	Class    string         `json:"storageClass"`
}

type transitioningCount struct {
	Target string `json:"targetStorageClass"`
	Images int    `json:"imageTotalCount"`
}

type previewSummary struct {
	Expiring      int                  `json:"expiringImageTotalCount"`
	Transitioning []transitioningCount `json:"transitioningImageTotalCounts,omitempty"`
}

type getPreviewOutput struct {
	RegistryID string                 `json:"registryId"`
	Repository registry.Name          `json:"repositoryName"`
	Policy     string                 `json:"lifecyclePolicyText"`
	Status     registry.PreviewStatus `json:"status"`
	Results    []previewResult        `json:"previewResults"`
	Summary    *previewSummary        `json:"summary,omitempty"`
	NextToken  string                 `json:"nextToken,omitempty"`
}

func (c *call) getLifecyclePolicyPreview(ctx context.Context, in *getPreviewInput) (getPreviewOutput, error) {
	out := getPreviewOutput{RegistryID: c.account(), Repository: in.RepositoryName, Results: []previewResult{}}
	find := registry.PreviewQuery{Limit: in.limit(maxPreviewPage)}
	if in.Filter.Tags != "ANY" {
		find.Status = registry.TagStatus(in.Filter.Tags)
	}
	asked := question(string(in.RepositoryName), in.Filter.Tags)
	var last string
	if err := c.resume(&in.pageInput, asked, &last); err != nil {
		return out, err
	}
	find.Last = digest.Digest(last)
	var err error
	if find.Digests, err = c.digests(ctx, in.RepositoryName, in.IDs); err != nil {
		return out, err
	}
	p, more, err := c.admin.LifecyclePreview(ctx, in.RepositoryName, find)
	if errors.Is(err, registry.ErrNotSet) {
		err = refusal("LifecyclePolicyPreviewNotFound", "Lifecycle policy preview does not exist for the repository with name '%s' in the registry with id '%s'", in.RepositoryName, c.account())
	}
	out.Policy, out.Status = string(p.Policy), p.Status
	if err != nil || p.Status != registry.PreviewComplete {
		return out, err
	}
	out.Summary = &previewSummary{Expiring: p.Expiring}
	if p.Archives {
		out.Summary.Transitioning = []transitioningCount{{"ARCHIVE", p.Archiving}}
	}
	for _, image := range p.Images {
		out.Results = append(out.Results, newPreviewResult(image))
	}
	if more {
		out.NextToken = c.next(asked, string(p.Images[len(p.Images)-1].Digest))
	}
	return out, nil
}

func newPreviewResult(i registry.PreviewedImage) previewResult {
	r := previewResult{
		Tags: i.Tags, Digest: i.Digest, PushedAt: seconds(i.PushedAt), Rule: i.Rule,
		Action: previewAction{Type: strings.ToUpper(i.Action)}, Class: strings.ToUpper(string(i.Class)),
	}
	if r.Tags == nil {
		r.Tags = []registry.Tag{}
	}
	if r.Action.Type == "TRANSITION" {
		r.Action.Target = "ARCHIVE"
	}
	return r
}

// digests are those of images that are there, each once; nil if ids is. Of others no policy
// would take any.
func (c *call) digests(ctx context.Context, repo registry.Name, ids []imageID) ([]digest.Digest, error) {
	if ids == nil {
		return nil, nil
	}
	found := []digest.Digest{}
	for _, id := range ids {
		parsed, code, reason := id.parse()
		if code != "" && code != "ImageNotFound" {
			return nil, refusal("InvalidParameter", "%s", reason)
		}
		if code != "" {
			continue
		}
		image, err := c.admin.Image(ctx, repo, parsed)
		switch {
		case err == nil:
			found = append(found, image.Digest)
		case !errors.Is(err, registry.ErrManifestUnknown):
			return nil, err
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
