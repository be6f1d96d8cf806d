package ecr_test

import (
	"strings"
)

var (
	someDigest = "sha256:" + strings.Repeat("a", 64)
	someUpload = "01234567-89ab-cdef-0123-456789abcdef"
	somePolicy = `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":100},"action":{"type":"expire"}}]}`
)

// inputs is the least that each operation takes; all of it is required.
var inputs = map[string]members{
	"CreateRepository":      {"repositoryName": "new"},
	"DescribeRepositories":  {},
	"DeleteRepository":      {"repositoryName": "r"},
	"PutImageTagMutability": {"repositoryName": "r", "imageTagMutability": "IMMUTABLE"},
	"TagResource":           {"resourceArn": "arn:aws:ecr:eu-test-1:111122223333:repository/rr", "tags": []any{}},
	"UntagResource":         {"resourceArn": "arn:aws:ecr:eu-test-1:111122223333:repository/rr", "tagKeys": []any{}},
	"ListTagsForResource":   {"resourceArn": "arn:aws:ecr:eu-test-1:111122223333:repository/rr"},

	"ListImages":         {"repositoryName": "r"},
	"DescribeImages":     {"repositoryName": "r"},
	"ListImageReferrers": {"repositoryName": "r", "subjectId": members{"imageDigest": someDigest}},
	"BatchGetImage":      {"repositoryName": "r", "imageIds": []any{members{"imageTag": "x"}}},
	"BatchDeleteImage":   {"repositoryName": "r", "imageIds": []any{members{"imageTag": "x"}}},
	"PutImage":           {"repositoryName": "r", "imageManifest": "{}"},

	"BatchCheckLayerAvailability": {"repositoryName": "r", "layerDigests": []any{someDigest}},
	"GetDownloadUrlForLayer":      {"repositoryName": "r", "layerDigest": someDigest},
	"InitiateLayerUpload":         {"repositoryName": "r"},
	"UploadLayerPart":             {"repositoryName": "r", "uploadId": someUpload, "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": "AA=="},
	"CompleteLayerUpload":         {"repositoryName": "r", "uploadId": someUpload, "layerDigests": []any{someDigest}},

	"GetAuthorizationToken":  {},
	"SetRepositoryPolicy":    {"repositoryName": "r", "policyText": "{}"},
	"GetRepositoryPolicy":    {"repositoryName": "r"},
	"DeleteRepositoryPolicy": {"repositoryName": "r"},
	"PutRegistryPolicy":      {"policyText": "{}"},
	"GetRegistryPolicy":      {},
	"DeleteRegistryPolicy":   {},

	"PutLifecyclePolicy":          {"repositoryName": "r", "lifecyclePolicyText": somePolicy},
	"GetLifecyclePolicy":          {"repositoryName": "r"},
	"DeleteLifecyclePolicy":       {"repositoryName": "r"},
	"StartLifecyclePolicyPreview": {"repositoryName": "r"},
	"GetLifecyclePolicyPreview":   {"repositoryName": "r"},

	"PutImageScanningConfiguration":           {"repositoryName": "r", "imageScanningConfiguration": members{}},
	"PutRegistryScanningConfiguration":        {},
	"GetRegistryScanningConfiguration":        {},
	"BatchGetRepositoryScanningConfiguration": {"repositoryNames": []any{"rr"}},
	"StartImageScan":                          {"repositoryName": "r", "imageId": members{"imageTag": "x"}},
	"DescribeImageScanFindings":               {"repositoryName": "r", "imageId": members{"imageTag": "x"}},

	"DescribeRegistry":  {},
	"GetAccountSetting": {"name": "BLOB_MOUNTING"},
	"PutAccountSetting": {"name": "BLOB_MOUNTING", "value": "DISABLED"},

	"CreateRepositoryCreationTemplate":    {"prefix": "team", "appliedFor": []any{"CREATE_ON_PUSH"}},
	"UpdateRepositoryCreationTemplate":    {"prefix": "team"},
	"DescribeRepositoryCreationTemplates": {},
	"DeleteRepositoryCreationTemplate":    {"prefix": "team"},
	"RegisterPullTimeUpdateExclusion":     {"principalArn": "arn:aws:iam::111122223333:role/x"},
	"DeregisterPullTimeUpdateExclusion":   {"principalArn": "arn:aws:iam::111122223333:role/x"},
	"ListPullTimeUpdateExclusions":        {},

	"PutRunningImages":  {"clusterName": "c", "images": []any{}},
	"ListClusters":      {},
	"ListRunningImages": {"clusterName": "c"},
	"DeleteCluster":     {"clusterName": "c"},

	"UpdateImageStorageClass":            {"repositoryName": "r", "imageId": members{"imageTag": "x"}, "targetStorageClass": "ARCHIVE"},
	"PutReplicationConfiguration":        {"replicationConfiguration": members{"rules": []any{}}},
	"DescribeImageReplicationStatus":     {"repositoryName": "r", "imageId": members{"imageTag": "x"}},
	"StartReplicationBackfill":           {"destination": members{}},
	"StopReplicationBackfill":            {"replicationBackfillId": "x"},
	"DescribeReplicationBackfillResults": {"replicationBackfillId": "x"},
	"ListReplicationBackfills":           {},
	"PutSigningConfiguration":            {"signingConfiguration": members{"rules": []any{}}},
	"GetSigningConfiguration":            {},
	"DeleteSigningConfiguration":         {},
	"DescribeImageSigningStatus":         {"repositoryName": "r", "imageId": members{"imageTag": "x"}},
	"CreatePullThroughCacheRule":         {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io"},
	"DescribePullThroughCacheRules":      {},
	"UpdatePullThroughCacheRule":         {"ecrRepositoryPrefix": "hub"},
	"DeletePullThroughCacheRule":         {"ecrRepositoryPrefix": "hub"},
	"ValidatePullThroughCacheRule":       {"ecrRepositoryPrefix": "hub"},
}
