package ecr

import "strings"

type members = map[string]any

const (
	someUpload = "01234567-89ab-cdef-0123-456789abcdef"
	goneRepo   = "not/there"
)

var someDigest = "sha256:" + strings.Repeat("a", 64)

// lifecyclePolicy is one that is long enough.
const lifecyclePolicy = `{"rules":[{"rulePriority":1,"description":"keep a hundred","selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":100},"action":{"type":"expire"}}]}`

// inputs is the least that each operation takes. Their repository is not there.
func inputs() map[string]members {
	image := members{"imageTag": "x"}
	arn := "arn:aws:ecr:" + region + ":" + account + ":repository/" + goneRepo
	return map[string]members{
		"BatchCheckLayerAvailability":             {"repositoryName": goneRepo, "layerDigests": []any{someDigest}},
		"BatchDeleteImage":                        {"repositoryName": goneRepo, "imageIds": []any{image}},
		"BatchGetImage":                           {"repositoryName": goneRepo, "imageIds": []any{image}},
		"BatchGetRepositoryScanningConfiguration": {"repositoryNames": []any{goneRepo}},
		"CompleteLayerUpload":                     {"repositoryName": goneRepo, "uploadId": someUpload, "layerDigests": []any{someDigest}},
		"CreatePullThroughCacheRule":              {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io"},
		"CreateRepository":                        {"repositoryName": "made/by/hand"},
		"CreateRepositoryCreationTemplate":        {"prefix": "made/by/hand", "appliedFor": []any{"CREATE_ON_PUSH"}},
		"DeleteLifecyclePolicy":                   {"repositoryName": goneRepo},
		"DeletePullThroughCacheRule":              {"ecrRepositoryPrefix": "hub"},
		"DeleteRegistryPolicy":                    {},
		"DeleteRepository":                        {"repositoryName": goneRepo},
		"DeleteRepositoryCreationTemplate":        {"prefix": "not/there"},
		"DeleteRepositoryPolicy":                  {"repositoryName": goneRepo},
		"DeleteSigningConfiguration":              {},
		"DeregisterPullTimeUpdateExclusion":       {"principalArn": "arn:aws:iam::" + account + ":role/nobody"},
		"DescribeImageReplicationStatus":          {"repositoryName": goneRepo, "imageId": image},
		"DescribeImageScanFindings":               {"repositoryName": goneRepo, "imageId": image},
		"DescribeImageSigningStatus":              {"repositoryName": goneRepo, "imageId": image},
		"DescribeImages":                          {"repositoryName": goneRepo},
		"DescribePullThroughCacheRules":           {"ecrRepositoryPrefixes": []any{"hub"}},
		"DescribeRegistry":                        {},
		"DescribeReplicationBackfillResults":      {"replicationBackfillId": "x"},
		"DescribeRepositories":                    {"repositoryNames": []any{goneRepo}},
		"DescribeRepositoryCreationTemplates":     {},
		"GetAccountSetting":                       {"name": "BLOB_MOUNTING"},
		"GetAuthorizationToken":                   {},
		"GetDownloadUrlForLayer":                  {"repositoryName": goneRepo, "layerDigest": someDigest},
		"GetLifecyclePolicy":                      {"repositoryName": goneRepo},
		"GetLifecyclePolicyPreview":               {"repositoryName": goneRepo},
		"GetRegistryPolicy":                       {},
		"GetRegistryScanningConfiguration":        {},
		"GetRepositoryPolicy":                     {"repositoryName": goneRepo},
		"GetSigningConfiguration":                 {},
		"InitiateLayerUpload":                     {"repositoryName": goneRepo},
		"ListImageReferrers":                      {"repositoryName": goneRepo, "subjectId": members{"imageDigest": someDigest}},
		"ListImages":                              {"repositoryName": goneRepo},
		"ListPullTimeUpdateExclusions":            {},
		"ListReplicationBackfills":                {},
		"ListTagsForResource":                     {"resourceArn": arn},
		"PutAccountSetting":                       {"name": "REGISTRY_POLICY_SCOPE", "value": "V2"},
		"PutImage":                                {"repositoryName": goneRepo, "imageManifest": `{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"` + someDigest + `","size":1},"layers":[]}`, "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json"},
		"PutImageScanningConfiguration":           {"repositoryName": goneRepo, "imageScanningConfiguration": members{}},
		"PutImageTagMutability":                   {"repositoryName": goneRepo, "imageTagMutability": "IMMUTABLE"},
		"PutLifecyclePolicy":                      {"repositoryName": goneRepo, "lifecyclePolicyText": lifecyclePolicy},
		"PutRegistryPolicy":                       {"policyText": `{"Version":"2012-10-17","Statement":[{"Sid":"x","Effect":"Allow","Principal":"*","Action":"ecr:ReplicateImage","Resource":"*"}]}`},
		"PutRegistryScanningConfiguration":        {},
		"PutReplicationConfiguration":             {"replicationConfiguration": members{"rules": []any{}}},
		"PutSigningConfiguration":                 {"signingConfiguration": members{"rules": []any{}}},
		"RegisterPullTimeUpdateExclusion":         {"principalArn": "arn:aws:iam::" + account + ":role/by-hand"},
		"SetRepositoryPolicy":                     {"repositoryName": goneRepo, "policyText": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:BatchGetImage"}]}`},
		"StartImageScan":                          {"repositoryName": goneRepo, "imageId": image},
		"StartLifecyclePolicyPreview":             {"repositoryName": goneRepo},
		"StartReplicationBackfill":                {"destination": members{"region": "eu-west-2", "registryId": account}},
		"StopReplicationBackfill":                 {"replicationBackfillId": "x"},
		"TagResource":                             {"resourceArn": arn, "tags": []any{}},
		"UntagResource":                           {"resourceArn": arn, "tagKeys": []any{"x"}},
		"UpdateImageStorageClass":                 {"repositoryName": goneRepo, "imageId": image, "targetStorageClass": "ARCHIVE"},
		"UpdatePullThroughCacheRule":              {"ecrRepositoryPrefix": "hub"},
		"UpdateRepositoryCreationTemplate":        {"prefix": "not/there"},
		"UploadLayerPart":                         {"repositoryName": goneRepo, "uploadId": someUpload, "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": "AA=="},
		"ValidatePullThroughCacheRule":            {"ecrRepositoryPrefix": "hub"},
	}
}
