package ecr

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Operations that Amazon ECR does not have: an agent in each cluster says what it runs, so that
// lifecycle policies can keep it.

// maxRunning is how many images one cluster may say that it runs.
const maxRunning = 50_000

var clusterPattern = newPattern(registry.ClusterPattern)

type clusterInput struct {
	Cluster string `json:"clusterName"`
}

func (in *clusterInput) validate(k *check) {
	k.required("clusterName", in.Cluster != "")
	k.length("clusterName", len(in.Cluster), 0, registry.MaxClusterLength)
	k.matches("clusterName", in.Cluster, clusterPattern)
}

type putRunningInput struct {
	clusterInput
	Images []string `json:"images"`
}

func (in *putRunningInput) validate(k *check) {
	in.clusterInput.validate(k)
	k.required("images", in.Images != nil)
	k.length("images", len(in.Images), 0, maxRunning)
}

type putRunningOutput struct {
	clusterOutput
	Ignored int `json:"ignoredCount"` // that have no digest, or a name that no repository here can have
}

type clusterOutput struct {
	Cluster    string  `json:"clusterName"`
	Images     int     `json:"imageCount"`
	ReportedAt seconds `json:"reportedAt,omitzero"`
}

func outputOf(c registry.Cluster) clusterOutput {
	return clusterOutput{c.Name, c.Images, seconds(c.ReportedAt)}
}

// putRunningImages takes the references as container runtimes have them. Which host they were
// pulled from does not matter: a registry has many names, and what is not here is of no concern.
// Those without a digest are no mistake either: an agent passes on all that it sees.
func (c *call) putRunningImages(ctx context.Context, in *putRunningInput) (putRunningOutput, error) {
	var out putRunningOutput
	images := make([]registry.ImageRef, 0, len(in.Images))
	for _, text := range in.Images {
		ref, err := registry.ParseImageRef(text)
		if err != nil {
			out.Ignored++
			continue
		}
		images = append(images, ref)
	}
	cluster, err := c.admin.SetRunning(ctx, in.Cluster, images)
	if errors.Is(err, registry.ErrLimitExceeded) {
		err = refusal("LimitExceeded", "%s", message(err))
	}
	out.clusterOutput = outputOf(cluster)
	return out, err
}

type clustersInput struct{ pageInput }

func (in *clustersInput) validate(k *check) { in.pageInput.validate(k, maxPage, "") }

type clustersOutput struct {
	Clusters  []clusterOutput `json:"clusters"`
	NextToken string          `json:"nextToken,omitempty"`
}

func (c *call) listClusters(ctx context.Context, in *clustersInput) (clustersOutput, error) {
	out := clustersOutput{Clusters: []clusterOutput{}}
	var last string
	if err := c.resume(&in.pageInput, "", &last); err != nil {
		return out, err
	}
	limit := in.limit(defaultPage)
	page, err := c.admin.Clusters(ctx, last, limit)
	for _, cluster := range page {
		out.Clusters = append(out.Clusters, outputOf(cluster))
	}
	if len(page) == limit {
		out.NextToken = c.next("", page[limit-1].Name)
	}
	return out, err
}

type runningInput struct {
	clusterInput
	pageInput
}

func (in *runningInput) validate(k *check) {
	in.clusterInput.validate(k)
	in.pageInput.validate(k, maxPage, "")
}

type runningOutput struct {
	Cluster   string   `json:"clusterName"`
	Images    []string `json:"images"`
	NextToken string   `json:"nextToken,omitempty"`
}

func (c *call) listRunningImages(ctx context.Context, in *runningInput) (runningOutput, error) {
	out := runningOutput{Cluster: in.Cluster, Images: []string{}}
	var name, d string
	if err := c.resume(&in.pageInput, in.Cluster, &name, &d); err != nil {
		return out, err
	}
	limit := in.limit(defaultPage)
	last := registry.ImageRef{Repository: registry.Name(name), Digest: digest.Digest(d)}
	page, err := c.admin.RunningImages(ctx, in.Cluster, last, limit)
	for _, r := range page {
		out.Images = append(out.Images, r.String())
	}
	if len(page) == limit {
		out.NextToken = c.next(in.Cluster, string(page[limit-1].Repository), string(page[limit-1].Digest))
	}
	return out, clusterNotFound(err)
}

func (c *call) deleteCluster(ctx context.Context, in *clusterInput) (clusterInput, error) {
	return *in, clusterNotFound(c.admin.RemoveCluster(ctx, in.Cluster))
}

func clusterNotFound(err error) error {
	if errors.Is(err, registry.ErrNotSet) {
		err = refusal("ClusterNotFound", "%s", message(err))
	}
	return err
}
