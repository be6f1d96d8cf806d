package ecr

import (
	"berth/auth"
)

// operations is the API, by name. What is not here is not known.
var operations = map[string]operation{
	"CreateRepository":      change(auth.CreateRepository, (*call).createRepository),
	"DescribeRepositories":  asking(read(auth.DescribeRepositories, (*call).describeRepositories)),
	"DeleteRepository":      change(auth.DeleteRepository, (*call).deleteRepository),
	"PutImageTagMutability": change(auth.PutImageTagMutability, (*call).putImageTagMutability),

	"TagResource":         change(auth.TagResource, (*call).tagResource),
	"UntagResource":       change(auth.UntagResource, (*call).untagResource),
	"ListTagsForResource": read(auth.ListTagsForResource, (*call).listTagsForResource),

	"ListImages":              read(auth.ListImages, (*call).listImages),
	"DescribeImages":          read(auth.DescribeImages, (*call).describeImages),
	"ListImageReferrers":      read(auth.BatchGetImage, (*call).listImageReferrers),
	"BatchGetImage":           read(auth.BatchGetImage, (*call).batchGetImage),
	"BatchDeleteImage":        change(auth.BatchDeleteImage, (*call).batchDeleteImage),
	"PutImage":                change(auth.PutImage, (*call).putImage),
	"UpdateImageStorageClass": change(auth.UpdateImageStorageClass, (*call).updateImageStorageClass),

	"BatchCheckLayerAvailability": read(auth.BatchCheckLayerAvailability, (*call).batchCheckLayerAvailability),
	"GetDownloadUrlForLayer":      read(auth.GetDownloadUrlForLayer, (*call).getDownloadURLForLayer),
	"InitiateLayerUpload":         read(auth.InitiateLayerUpload, (*call).initiateLayerUpload),
	"UploadLayerPart":             withParts(read(auth.UploadLayerPart, (*call).uploadLayerPart)),
	"CompleteLayerUpload":         change(auth.CompleteLayerUpload, (*call).completeLayerUpload),

	"GetAuthorizationToken":  read(auth.GetAuthorizationToken, (*call).getAuthorizationToken),
	"SetRepositoryPolicy":    change(auth.SetRepositoryPolicy, (*call).setRepositoryPolicy),
	"GetRepositoryPolicy":    read(auth.GetRepositoryPolicy, (*call).getRepositoryPolicy),
	"DeleteRepositoryPolicy": change(auth.DeleteRepositoryPolicy, (*call).deleteRepositoryPolicy),
	"PutRegistryPolicy":      change(auth.PutRegistryPolicy, (*call).putRegistryPolicy),
	"GetRegistryPolicy":      read(auth.GetRegistryPolicy, (*call).getRegistryPolicy),
	"DeleteRegistryPolicy":   change(auth.DeleteRegistryPolicy, (*call).deleteRegistryPolicy),

	"PutLifecyclePolicy":          change(auth.PutLifecyclePolicy, (*call).putLifecyclePolicy),
	"GetLifecyclePolicy":          read(auth.GetLifecyclePolicy, (*call).getLifecyclePolicy),
	"DeleteLifecyclePolicy":       change(auth.DeleteLifecyclePolicy, (*call).deleteLifecyclePolicy),
	"StartLifecyclePolicyPreview": read(auth.StartLifecyclePolicyPreview, (*call).startLifecyclePolicyPreview),
	"GetLifecyclePolicyPreview":   read(auth.GetLifecyclePolicyPreview, (*call).getLifecyclePolicyPreview),

	"PutImageScanningConfiguration":           change(auth.PutImageScanningConfiguration, (*call).putImageScanningConfiguration),
	"PutRegistryScanningConfiguration":        change(auth.PutRegistryScanningConfiguration, (*call).putRegistryScanningConfiguration),
	"GetRegistryScanningConfiguration":        read(auth.GetRegistryScanningConfiguration, (*call).getRegistryScanningConfiguration),
	"BatchGetRepositoryScanningConfiguration": asking(read(auth.BatchGetRepositoryScanningConfiguration, (*call).batchGetRepositoryScanningConfiguration)),
	"StartImageScan":                          change(auth.StartImageScan, (*call).startImageScan),
	"DescribeImageScanFindings":               read(auth.DescribeImageScanFindings, (*call).describeImageScanFindings),

	"DescribeRegistry":  read(auth.DescribeRegistry, (*call).describeRegistry),
	"GetAccountSetting": read(auth.GetAccountSetting, (*call).getAccountSetting),
	"PutAccountSetting": change(auth.PutAccountSetting, (*call).putAccountSetting),

	"CreateRepositoryCreationTemplate":    change(auth.CreateRepositoryCreationTemplate, (*call).createTemplate),
	"UpdateRepositoryCreationTemplate":    change(auth.UpdateRepositoryCreationTemplate, (*call).updateTemplate),
	"DescribeRepositoryCreationTemplates": read(auth.DescribeRepositoryCreationTemplates, (*call).describeTemplates),
	"DeleteRepositoryCreationTemplate":    change(auth.DeleteRepositoryCreationTemplate, (*call).deleteTemplate),

	"RegisterPullTimeUpdateExclusion":   change(auth.RegisterPullTimeUpdateExclusion, (*call).registerExclusion),
	"DeregisterPullTimeUpdateExclusion": change(auth.DeregisterPullTimeUpdateExclusion, (*call).deregisterExclusion),
	"ListPullTimeUpdateExclusions":      read(auth.ListPullTimeUpdateExclusions, (*call).listExclusions),

	// What Amazon ECR does not have. See running.go.
	"PutRunningImages":  change(auth.PutRunningImages, (*call).putRunningImages),
	"ListClusters":      read(auth.ListRunningImages, (*call).listClusters),
	"ListRunningImages": read(auth.ListRunningImages, (*call).listRunningImages),
	"DeleteCluster":     change(auth.DeleteCluster, (*call).deleteCluster),

	// What berth does not do, refused in ECR's words.
	"PutReplicationConfiguration":        change(auth.PutReplicationConfiguration, (*call).putReplicationConfiguration),
	"DescribeImageReplicationStatus":     read(auth.DescribeImageReplicationStatus, (*call).describeImageReplicationStatus),
	"StartReplicationBackfill":           read(auth.StartReplicationBackfill, (*call).startReplicationBackfill),
	"StopReplicationBackfill":            read(auth.StopReplicationBackfill, (*call).noBackfill),
	"DescribeReplicationBackfillResults": read(auth.DescribeReplicationBackfillResults, (*call).noBackfill),
	"ListReplicationBackfills":           read(auth.ListReplicationBackfills, (*call).listReplicationBackfills),
	"PutSigningConfiguration":            asNewer(read(auth.PutSigningConfiguration, (*call).putSigningConfiguration)),
	"GetSigningConfiguration":            asNewer(read(auth.GetSigningConfiguration, (*call).noSigningConfiguration)),
	"DeleteSigningConfiguration":         asNewer(read(auth.DeleteSigningConfiguration, (*call).noSigningConfiguration)),
	"DescribeImageSigningStatus":         read(auth.DescribeImageSigningStatus, (*call).describeImageSigningStatus),
	"CreatePullThroughCacheRule":         read(auth.CreatePullThroughCacheRule, (*call).createPullThroughCacheRule),
	"DescribePullThroughCacheRules":      read(auth.DescribePullThroughCacheRules, (*call).describePullThroughCacheRules),
	"UpdatePullThroughCacheRule":         read(auth.UpdatePullThroughCacheRule, (*call).noPullThroughCacheRule),
	"DeletePullThroughCacheRule":         read(auth.DeletePullThroughCacheRule, (*call).noPullThroughCacheRule),
	"ValidatePullThroughCacheRule":       read(auth.ValidatePullThroughCacheRule, (*call).noPullThroughCacheRule),
}

func asking(op operation) operation {
	op.asks = true
	return op
}

func withParts(op operation) operation {
	op.parts = true
	return op
}

func asNewer(op operation) operation {
	op.newer = true
	return op
}

// Operations lists the names of all operations that are known.
func Operations() []string {
	names := make([]string, 0, len(operations))
	for name := range operations {
		names = append(names, name)
	}
	return names
}
