package auth

import (
	"encoding/json"
	"slices"
)

// The managed policies of Amazon ECR, under the names AWS gave them. They can be
// attached and not changed.
const (
	FullAccess = "AmazonEC2ContainerRegistryFullAccess" // everything
	PowerUser  = "AmazonEC2ContainerRegistryPowerUser"  // push and pull; neither deletes nor changes settings
	ReadOnly   = "AmazonEC2ContainerRegistryReadOnly"   // pull, list and look at scan findings
	PullOnly   = "AmazonEC2ContainerRegistryPullOnly"   // what a cluster's nodes need
)

// readActions are in ReadOnly and PowerUser.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEC2ContainerRegistryReadOnly.html
var readActions = []Action{
	GetAuthorizationToken, BatchCheckLayerAvailability, GetDownloadUrlForLayer, GetRepositoryPolicy,
	DescribeRepositories, ListImages, DescribeImages, BatchGetImage, GetLifecyclePolicy,
	GetLifecyclePolicyPreview, ListTagsForResource, DescribeImageScanFindings,
}

// managed leaves out what FullAccess grants outside of ECR: looking up CloudTrail
// events and creating service-linked roles.
var managed = map[string]*Policy{
	FullAccess: managedPolicy(FullAccess, "ecr:*"),
	PowerUser: managedPolicy(PowerUser, slices.Concat(readActions, []Action{
		InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage,
	})...),
	ReadOnly: managedPolicy(ReadOnly, readActions...),
	PullOnly: managedPolicy(PullOnly, GetAuthorizationToken, BatchGetImage, GetDownloadUrlForLayer, BatchImportUpstreamImage),
}

func managedPolicy(name string, actions ...Action) *Policy {
	p, err := ParsePolicy(name, encodePolicy(documentStatement{Effect: Allow, Action: actions, Resource: []string{"*"}}))
	if err != nil {
		panic(err) // the list above is wrong
	}
	return p
}

// Managed returns a managed policy.
func Managed(name string) (*Policy, bool) {
	p, ok := managed[name]
	return p, ok
}

// IsManaged reports whether name is that of a managed policy.
func IsManaged(name string) bool { return managed[name] != nil }

// ManagedNames lists the managed policies, the most powerful first.
func ManagedNames() []string { return []string{FullAccess, PowerUser, ReadOnly, PullOnly} }

// documentStatement is a statement as berth writes it.
type documentStatement struct {
	Sid      string `json:",omitempty"`
	Effect   Effect
	Action   []Action
	Resource []string
}

func encodePolicy(statements ...documentStatement) string {
	b, err := json.MarshalIndent(struct {
		Version   string
		Statement []documentStatement
	}{"2012-10-17", statements}, "", "  ")
	if err != nil {
		panic(err) // strings always encode
	}
	return string(b)
}
