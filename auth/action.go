package auth

import (
	"slices"
	"strings"
)

// Action is something a policy allows or denies, such as "ecr:PutImage".
type Action string

// The actions of Amazon ECR.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
const (
	BatchCheckLayerAvailability             Action = "ecr:BatchCheckLayerAvailability"
	BatchDeleteImage                        Action = "ecr:BatchDeleteImage"
	BatchGetImage                           Action = "ecr:BatchGetImage"
	BatchGetRepositoryScanningConfiguration Action = "ecr:BatchGetRepositoryScanningConfiguration"
	BatchImportUpstreamImage                Action = "ecr:BatchImportUpstreamImage"
	CompleteLayerUpload                     Action = "ecr:CompleteLayerUpload"
	CreatePullThroughCacheRule              Action = "ecr:CreatePullThroughCacheRule"
	CreateRepository                        Action = "ecr:CreateRepository"
	CreateRepositoryCreationTemplate        Action = "ecr:CreateRepositoryCreationTemplate"
	DeleteLifecyclePolicy                   Action = "ecr:DeleteLifecyclePolicy"
	DeletePullThroughCacheRule              Action = "ecr:DeletePullThroughCacheRule"
	DeleteRegistryPolicy                    Action = "ecr:DeleteRegistryPolicy"
	DeleteRepository                        Action = "ecr:DeleteRepository"
	DeleteRepositoryCreationTemplate        Action = "ecr:DeleteRepositoryCreationTemplate"
	DeleteRepositoryPolicy                  Action = "ecr:DeleteRepositoryPolicy"
	DeleteSigningConfiguration              Action = "ecr:DeleteSigningConfiguration"
	DeregisterPullTimeUpdateExclusion       Action = "ecr:DeregisterPullTimeUpdateExclusion"
	DescribeImageReplicationStatus          Action = "ecr:DescribeImageReplicationStatus"
	DescribeImageScanFindings               Action = "ecr:DescribeImageScanFindings"
	DescribeImageSigningStatus              Action = "ecr:DescribeImageSigningStatus"
	DescribeImages                          Action = "ecr:DescribeImages"
	DescribePullThroughCacheRules           Action = "ecr:DescribePullThroughCacheRules"
	DescribeRegistry                        Action = "ecr:DescribeRegistry"
	DescribeReplicationBackfillResults      Action = "ecr:DescribeReplicationBackfillResults"
	DescribeRepositories                    Action = "ecr:DescribeRepositories"
	DescribeRepositoryCreationTemplates     Action = "ecr:DescribeRepositoryCreationTemplates"
	GetAccountSetting                       Action = "ecr:GetAccountSetting"
	GetAuthorizationToken                   Action = "ecr:GetAuthorizationToken"
	GetDownloadUrlForLayer                  Action = "ecr:GetDownloadUrlForLayer"
	GetImageCopyStatus                      Action = "ecr:GetImageCopyStatus"
	GetLifecyclePolicy                      Action = "ecr:GetLifecyclePolicy"
	GetLifecyclePolicyPreview               Action = "ecr:GetLifecyclePolicyPreview"
	GetRegistryPolicy                       Action = "ecr:GetRegistryPolicy"
	GetRegistryScanningConfiguration        Action = "ecr:GetRegistryScanningConfiguration"
	GetRepositoryPolicy                     Action = "ecr:GetRepositoryPolicy"
	GetSigningConfiguration                 Action = "ecr:GetSigningConfiguration"
	InitiateLayerUpload                     Action = "ecr:InitiateLayerUpload"
	ListImageReferrers                      Action = "ecr:ListImageReferrers"
	ListImages                              Action = "ecr:ListImages"
	ListPullTimeUpdateExclusions            Action = "ecr:ListPullTimeUpdateExclusions"
	ListReplicationBackfills                Action = "ecr:ListReplicationBackfills"
	ListTagsForResource                     Action = "ecr:ListTagsForResource"
	PutAccountSetting                       Action = "ecr:PutAccountSetting"
	PutImage                                Action = "ecr:PutImage"
	PutImageScanningConfiguration           Action = "ecr:PutImageScanningConfiguration"
	PutImageTagMutability                   Action = "ecr:PutImageTagMutability"
	PutLifecyclePolicy                      Action = "ecr:PutLifecyclePolicy"
	PutRegistryPolicy                       Action = "ecr:PutRegistryPolicy"
	PutRegistryScanningConfiguration        Action = "ecr:PutRegistryScanningConfiguration"
	PutReplicationConfiguration             Action = "ecr:PutReplicationConfiguration"
	PutSigningConfiguration                 Action = "ecr:PutSigningConfiguration"
	RegisterPullTimeUpdateExclusion         Action = "ecr:RegisterPullTimeUpdateExclusion"
	ReplicateImage                          Action = "ecr:ReplicateImage"
	SetRepositoryPolicy                     Action = "ecr:SetRepositoryPolicy"
	StartImageScan                          Action = "ecr:StartImageScan"
	StartLifecyclePolicyPreview             Action = "ecr:StartLifecyclePolicyPreview"
	StartReplicationBackfill                Action = "ecr:StartReplicationBackfill"
	StopReplicationBackfill                 Action = "ecr:StopReplicationBackfill"
	TagResource                             Action = "ecr:TagResource"
	UntagResource                           Action = "ecr:UntagResource"
	UpdateImageStorageClass                 Action = "ecr:UpdateImageStorageClass"
	UpdatePullThroughCacheRule              Action = "ecr:UpdatePullThroughCacheRule"
	UpdateRepositoryCreationTemplate        Action = "ecr:UpdateRepositoryCreationTemplate"
	UploadLayerPart                         Action = "ecr:UploadLayerPart"
	ValidatePullThroughCacheRule            Action = "ecr:ValidatePullThroughCacheRule"
)

// Actions that Amazon ECR does not have.
const (
	DeleteCluster     Action = "ecr:DeleteCluster"
	ListRunningImages Action = "ecr:ListRunningImages"
	PutRunningImages  Action = "ecr:PutRunningImages"
	ScanImages        Action = "ecr:ScanImages" // to be a scanner: to be given images to look into, and to say what is in them
)

var actions = []Action{
	BatchCheckLayerAvailability, BatchDeleteImage, BatchGetImage, BatchGetRepositoryScanningConfiguration,
	BatchImportUpstreamImage, CompleteLayerUpload, CreatePullThroughCacheRule, CreateRepository,
	CreateRepositoryCreationTemplate, DeleteCluster, DeleteLifecyclePolicy, DeletePullThroughCacheRule, DeleteRegistryPolicy,
	DeleteRepository, DeleteRepositoryCreationTemplate, DeleteRepositoryPolicy, DeleteSigningConfiguration,
	DeregisterPullTimeUpdateExclusion, DescribeImageReplicationStatus, DescribeImageScanFindings,
	DescribeImageSigningStatus, DescribeImages, DescribePullThroughCacheRules, DescribeRegistry,
	DescribeReplicationBackfillResults, DescribeRepositories, DescribeRepositoryCreationTemplates,
	GetAccountSetting, GetAuthorizationToken, GetDownloadUrlForLayer, GetImageCopyStatus, GetLifecyclePolicy,
	GetLifecyclePolicyPreview, GetRegistryPolicy, GetRegistryScanningConfiguration, GetRepositoryPolicy,
	GetSigningConfiguration, InitiateLayerUpload, ListImageReferrers, ListImages, ListPullTimeUpdateExclusions,
	ListReplicationBackfills, ListRunningImages, ListTagsForResource, PutAccountSetting, PutImage, PutImageScanningConfiguration,
	PutImageTagMutability, PutLifecyclePolicy, PutRegistryPolicy, PutRegistryScanningConfiguration,
	PutReplicationConfiguration, PutRunningImages, PutSigningConfiguration, RegisterPullTimeUpdateExclusion, ReplicateImage,
	ScanImages, SetRepositoryPolicy, StartImageScan, StartLifecyclePolicyPreview, StartReplicationBackfill,
	StopReplicationBackfill, TagResource, UntagResource, UpdateImageStorageClass, UpdatePullThroughCacheRule,
	UpdateRepositoryCreationTemplate, UploadLayerPart, ValidatePullThroughCacheRule,
}

var actionIndex = func() map[Action]int {
	index := make(map[Action]int, len(actions))
	for i, a := range actions {
		index[a] = i
	}
	return index
}()

// Actions lists every action, by name.
func Actions() []Action { return slices.Clone(actions) }

// actionSet is a set of known actions, a bit for each.
type actionSet [2]uint64

func (s *actionSet) add(i int)     { s[i/64] |= 1 << (i % 64) }
func (s actionSet) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// addMatching adds the actions that a pattern of a policy names and reports whether
// there are any. IAM compares actions without regard to case.
func (s *actionSet) addMatching(pattern string) bool {
	found := false
	pattern = strings.ToLower(pattern)
	for i, a := range actions {
		if MatchWildcard(pattern, strings.ToLower(string(a))) {
			s.add(i)
			found = true
		}
	}
	return found
}
