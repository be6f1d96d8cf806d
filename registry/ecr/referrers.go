package ecr

import (
	"context"
	"encoding/json"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

type referrersFilter struct {
	Types  []string `json:"artifactTypes"`
	Status string   `json:"artifactStatus"`
}

type listImageReferrersInput struct {
	repositoryInput
	pageInput
	Subject *struct {
		Digest string `json:"imageDigest"`
	} `json:"subjectId"`
	Filter referrersFilter `json:"filter"`
}

func (in *listImageReferrersInput) validate(k *check) {
	in.repositoryInput.validate(k)
	in.pageInput.validate(k, 50, "")
	k.required("subjectId", in.Subject != nil)
	if in.Subject != nil {
		k.required("subjectId.imageDigest", in.Subject.Digest != "")
		k.matches("subjectId.imageDigest", in.Subject.Digest, digestPattern)
	}
	k.length("filter.artifactTypes", len(in.Filter.Types), 0, 5)
	for _, t := range in.Filter.Types {
		k.length("filter.artifactTypes", len(t), 1, 255)
	}
	k.enum("filter.artifactStatus", in.Filter.Status, "ACTIVE", "ARCHIVED", "ACTIVATING", "ANY")
}

type referrer struct {
	Digest       digest.Digest     `json:"digest"`
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Status       string            `json:"artifactStatus"`
}

type listImageReferrersOutput struct {
	Referrers []referrer `json:"referrers"`
	NextToken string     `json:"nextToken,omitempty"`
}

func (c *call) listImageReferrers(ctx context.Context, in *listImageReferrersInput) (listImageReferrersOutput, error) {
	out := listImageReferrersOutput{Referrers: []referrer{}}
	asked := question(append([]string{string(in.RepositoryName), in.Subject.Digest, in.Filter.Status}, in.Filter.Types...)...)
	var last string
	if err := c.resume(&in.pageInput, asked, &last); err != nil {
		return out, err
	}
	if in.Filter.Status == "ARCHIVED" || in.Filter.Status == "ACTIVATING" {
		_, err := c.admin.Repository(ctx, in.RepositoryName)
		return out, err
	}
	page, more, err := c.registry.Referrers(ctx, in.RepositoryName, registry.ReferrersQuery{
		Subject: digest.Digest(in.Subject.Digest), ArtifactTypes: in.Filter.Types, Last: digest.Digest(last), Limit: in.limit(20),
	})
	for _, found := range page {
		r := referrer{Status: "ACTIVE"}
		if err := json.Unmarshal(found.JSON, &r); err != nil {
			return out, err
		}
		out.Referrers = append(out.Referrers, r)
		last = string(found.Digest)
	}
	if more {
		out.NextToken = c.next(asked, last)
	}
	return out, err
}
