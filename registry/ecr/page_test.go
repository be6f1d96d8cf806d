package ecr_test

import (
	"maps"
	"slices"
	"testing"
)

// lists are the operations that answer in pages, and the most that a page holds.
var lists = map[string]float64{
	"DescribeImages": 1000, "DescribeImageScanFindings": 1000, "DescribePullThroughCacheRules": 1000, "DescribeRepositories": 1000,
	"DescribeRepositoryCreationTemplates": 1000, "ListImageReferrers": 50, "ListImages": 1000, "ListPullTimeUpdateExclusions": 1000,
	"ListReplicationBackfills": 50,
}

func TestPageSizes(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	for operation, most := range lists {
		for _, size := range []float64{-1, 0, 1, most, most + 1} {
			in := maps.Clone(named(inputs[operation]))
			in["maxResults"] = size
			got := f.do(t, operation, in)
			refused := slices.Contains([]any{"InvalidParameterException", "ValidationException"}, got["failed"])
			if refused != (size < 1 || size > most) {
				t.Errorf("%s in pages of %v: %v", operation, size, got)
			}
		}
	}
}
