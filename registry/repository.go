package registry

import (
	"encoding/json"
	"slices"
	"time"
)

// Repository is what is known of a repository besides what is in it.
type Repository struct {
	Name      Name
	CreatedAt time.Time
	Settings
}

// Settings are what its owners say about a repository. The zero value is that of
// a repository which nobody has said anything about.
type Settings struct {
	Mutability   Mutability
	ScanOnPush   bool
	Encryption   Encryption
	ResourceTags map[string]string
}

// Encryption is how the objects of a repository are to be encrypted. berth keeps what
// was asked for; the disk or the bucket encrypts.
type Encryption struct {
	Type string `json:"type,omitempty"` // of Amazon ECR: "AES256", "KMS", "KMS_DSSE"; empty is AES256
	Key  string `json:"key,omitempty"`
}

// TagMode says whether tags can be moved from one image to another.
type TagMode string

// The modes of Amazon ECR.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
const (
	Mutable                TagMode = "MUTABLE"
	Immutable              TagMode = "IMMUTABLE"
	ImmutableWithExclusion TagMode = "IMMUTABLE_WITH_EXCLUSION" // all but the excluded
	MutableWithExclusion   TagMode = "MUTABLE_WITH_EXCLUSION"   // all but the excluded
)

// Mutability says which tags can be moved. The zero value: all.
type Mutability struct {
	Mode       TagMode
	Exclusions []string // patterns of tags, in which * stands for any characters
}

// Fixed reports whether a tag stays with the image that it was first given to, for as
// long as it is there.
func (m Mutability) Fixed(t Tag) bool {
	excluded := slices.ContainsFunc(m.Exclusions, func(pattern string) bool { return MatchWildcard(pattern, string(t)) })
	switch m.Mode {
	case Immutable:
		return true
	case ImmutableWithExclusion:
		return !excluded
	case MutableWithExclusion:
		return excluded
	}
	return false
}

// TagFixed is ErrTagFixed about a tag, in the words of Amazon ECR.
func TagFixed(repo Name, t Tag) *Error {
	return ErrTagFixed.With("The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", t, repo)
}

// CreationTemplate is what a repository is like that pushing creates.
type CreationTemplate struct {
	Prefix        string    // of its name, without the slash, or RootPrefix
	Description   string    `json:",omitempty"`
	AppliedFor    []string  // causes, such as CreateOnPush
	Settings      Settings  `json:",omitzero"`
	Policy        string    `json:",omitempty"` // who may use it: a repository policy
	Lifecycle     string    `json:",omitempty"` // a lifecycle policy
	CustomRoleARN string    `json:",omitempty"` // kept and returned
	CreatedAt     time.Time `json:"-"`
	UpdatedAt     time.Time `json:"-"`
}

// RootPrefix is the prefix of the template for all that no other is for.
const RootPrefix = "ROOT"

// CreateOnPush is the cause of a repository that the first push to it creates.
const CreateOnPush = "CREATE_ON_PUSH"

// IsFor reports whether the template is for repositories that come about by cause.
func (t CreationTemplate) IsFor(cause string) bool { return slices.Contains(t.AppliedFor, cause) }

// TemplatePrefixes are the prefixes whose templates may be for a repository, the one that
// says most about it first.
func TemplatePrefixes(name Name) []string {
	var prefixes []string
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '/' {
			prefixes = append(prefixes, string(name[:i]))
		}
	}
	return append(prefixes, RootPrefix)
}

// Setting is the name of a setting of the registry as a whole. What it holds is JSON
// that the one who put it understands.
type Setting string

// The settings of a registry.
const (
	RegistryPolicySetting       Setting = "registry-policy" // JSON of a policy
	ScanningSetting             Setting = "scanning"
	ReplicationSetting          Setting = "replication"
	SigningSetting              Setting = "signing"
	BasicScanTypeVersionSetting Setting = "account/BASIC_SCAN_TYPE_VERSION"
	RegistryPolicyScopeSetting  Setting = "account/REGISTRY_POLICY_SCOPE"
	BlobMountingSetting         Setting = "account/BLOB_MOUNTING" // ENABLED, the default, or DISABLED
)

// MountingDisabled is the value of BlobMountingSetting that turns it off.
const MountingDisabled = `"DISABLED"`

// PullTimeExclusion is a principal whose pulls do not count as such.
type PullTimeExclusion struct {
	Principal string // its ARN
	CreatedAt time.Time
}

// LifecyclePolicy is the text of a lifecycle policy, and when it was last applied.
type LifecyclePolicy struct {
	Text        json.RawMessage
	EvaluatedAt time.Time // zero before the first time
}
