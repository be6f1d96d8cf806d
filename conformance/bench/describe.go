package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"berth/conformance/internal/server"
)

// accessKey is what requests to the API of ECR are signed with.
type accessKey struct {
	ID     string `json:"accessKeyId"`
	Secret string `json:"secretAccessKey"`
}

// newAccessKey gives one to the administrator.
func newAccessKey(ctx context.Context, r *running) (k accessKey, err error) {
	out, err := r.command(ctx, "key", "create", server.User, "-o", "json")
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(out, &k)
}

// describe reads pages of images from the middle of the largest repository, one after the other, as the AWS SDK does.
func (s *stage) describe(at *stint) error {
	c := newECR(at.running.url, s.key)
	const page = 100
	begin, err := s.middle(at, c)
	if err != nil {
		return err
	}
	next := begin
	err = s.each(at, at.pages, describeP50, func(int) error {
		out, err := c.DescribeImages(at.client.ctx, &ecr.DescribeImagesInput{RepositoryName: aws.String(largest), MaxResults: aws.Int32(page), NextToken: next.describe})
		if err == nil && len(out.ImageDetails) != page && out.NextToken != nil {
			err = fmt.Errorf("a page of %d images", len(out.ImageDetails))
		}
		if err == nil {
			next.describe = onward(out.NextToken, begin.describe)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.each(at, at.pages, listImagesP50, func(int) error {
		out, err := c.ListImages(at.client.ctx, &ecr.ListImagesInput{RepositoryName: aws.String(largest), MaxResults: aws.Int32(page), NextToken: next.list})
		if err == nil && len(out.ImageIds) != page && out.NextToken != nil {
			err = fmt.Errorf("a page of %d names of images", len(out.ImageIds))
		}
		if err == nil {
			next.list = onward(out.NextToken, begin.list)
		}
		return err
	})
}

// onward is where the next page begins: where the first did, after the last.
func onward(next, begin *string) *string {
	if next == nil {
		return begin
	}
	return next
}

// tokens say where lists go on.
type tokens struct{ describe, list *string }

// middle pages to the middle of the largest repository: a token cannot be made up.
func (s *stage) middle(at *stint, c *ecr.Client) (t tokens, err error) {
	step := int32(min(1000, s.images/8))
	for seen := 0; seen < s.images/5; seen += int(step) {
		described, err := c.DescribeImages(at.client.ctx, &ecr.DescribeImagesInput{RepositoryName: aws.String(largest), MaxResults: &step, NextToken: t.describe})
		if err != nil {
			return t, err
		}
		listed, err := c.ListImages(at.client.ctx, &ecr.ListImagesInput{RepositoryName: aws.String(largest), MaxResults: &step, NextToken: t.list})
		if err != nil {
			return t, err
		}
		t = tokens{described.NextToken, listed.NextToken}
	}
	return t, nil
}
