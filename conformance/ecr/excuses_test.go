package ecr

// common are exceptions that any operation may give, and that the SDK has no types for.
var common = map[string]bool{
	"AccessDeniedException": true, "SerializationException": true, "UnrecognizedClientException": true,
	"RequestEntityTooLargeException": true, "InvalidSignatureException": true, "MissingAuthenticationTokenException": true,
	"IncompleteSignature": true,
}

// notGiven are documented outcomes that berth does not come to, and why. No operations means all.
var notGiven = []struct{ operations, outcomes, why string }{
	{"", "Server", "nothing is made to fail here; see conformance/chaos"},
	{"", "Kms UnableToAccessSecret SecretNotFound UnableToDecryptSecretValue", "there is no KMS and no Secrets Manager"},
	{"", "UnableToGetUpstreamImage UnableToGetUpstreamLayer UnableToListUpstreamImageReferrers PullThroughCacheRuleAlreadyExists", "there is no pull-through cache"},
	{"", "BlockedByOrganizationPolicy", "there are no organizations"},
	{"CreatePullThroughCacheRule DeletePullThroughCacheRule UpdatePullThroughCacheRule ValidatePullThroughCacheRule", success, "there is no pull-through cache"},
	{"DeleteSigningConfiguration GetSigningConfiguration PutSigningConfiguration", success, "AWS Signer is not to be had"},
	{"StartReplicationBackfill StopReplicationBackfill DescribeReplicationBackfillResults", success, "berth does not replicate"},
	{
		"BatchGetRepositoryScanningConfiguration CreatePullThroughCacheRule CreateRepositoryCreationTemplate DeleteLifecyclePolicy DeletePullThroughCacheRule " +
			"DeleteRegistryPolicy DeleteRepositoryCreationTemplate DeregisterPullTimeUpdateExclusion DescribeImageReplicationStatus DescribeImageScanFindings " +
			"DescribeImageSigningStatus DescribePullThroughCacheRules DescribeRegistry DescribeReplicationBackfillResults DescribeRepositoryCreationTemplates " +
			"GetAccountSetting GetLifecyclePolicy GetLifecyclePolicyPreview GetRegistryPolicy GetRegistryScanningConfiguration ListImageReferrers " +
			"ListPullTimeUpdateExclusions ListReplicationBackfills PutAccountSetting PutImageScanningConfiguration PutLifecyclePolicy PutRegistryPolicy " +
			"PutRegistryScanningConfiguration RegisterPullTimeUpdateExclusion StartLifecyclePolicyPreview StopReplicationBackfill UpdateImageStorageClass UpdatePullThroughCacheRule " +
			"UpdateRepositoryCreationTemplate ValidatePullThroughCacheRule",
		"Validation", "bad input is an InvalidParameterException",
	},
	{"PutSigningConfiguration", "InvalidParameter", "bad input is a ValidationException"},
	{"DeleteSigningConfiguration GetSigningConfiguration", "Validation", "there is no input to be bad"},
	{"GetSigningConfiguration DeleteRegistryPolicy DescribeRegistry GetRegistryPolicy GetRegistryScanningConfiguration", "InvalidParameter", "there is no input to be bad"},
	{"BatchGetImage", "LimitExceeded", "it takes more than 64 MiB of manifests in a request"},
	{
		"CreatePullThroughCacheRule CreateRepository CreateRepositoryCreationTemplate DeregisterPullTimeUpdateExclusion ListPullTimeUpdateExclusions " +
			"PutAccountSetting StartReplicationBackfill",
		"LimitExceeded", "there is no such quota",
	},
	{"BatchGetRepositoryScanningConfiguration", "RepositoryNotFound", "it is one of the failures in the answer"},
	{"UntagResource", "TooManyTags", "taking tags away makes no more of them"},
	{"StartReplicationBackfill", "ReplicationBackfillInProgress", "berth does not replicate"},
	{"StopReplicationBackfill", "ReplicationBackfillInvalidStatus", "berth does not replicate"},
}
