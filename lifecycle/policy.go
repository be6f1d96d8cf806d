package lifecycle

import (
	"slices"

	"berth/registry"
)

// The length of a policy's text, in characters. [Parse] leaves MinLength to its callers:
// Amazon ECR asks for it where a policy is put or tried out, but not in the template
// of a repository.
const (
	MinLength = 100
	MaxLength = 30_720
)

// MaxRules is the most rules that a policy can have.
const MaxRules = 50

// maxWildcards is the most stars that a pattern of tags can have.
const maxWildcards = 4

// Policy is a lifecycle policy, ready for decisions. [Parse] makes it; it does not
// change afterwards.
type Policy struct {
	Text string // as it was written, byte for byte

	// What Amazon ECR does not have. It refuses such a policy.
	Extended       bool // there is a member berth somewhere
	KeepPulledDays int  // what was pulled within so many days stays; zero if that keeps nothing
	KeepRunning    bool // what runs in a cluster stays, so decisions need [Image].RunningIn

	rules      []Rule
	maxDeletes maxDeletes
}

// MaxDeletes is how many decisions to expire a run may carry out in a repository that
// has so many images, archived ones and those in indexes too, whether images expire or
// only tags of theirs. A run that would do more does nothing instead. It is not ok if the
// policy sets no limit.
func (p *Policy) MaxDeletes(images int) (limit int, ok bool) {
	m := p.maxDeletes
	if m.percent {
		return (images*m.number + 99) / 100, true
	}
	return m.number, m.number > 0
}

// maxDeletes is a limit; the zero value is none.
type maxDeletes struct {
	number  int
	percent bool // of all images, rounded up
}

// Rules are the rules in the order of their priority, which may not be that of the text.
func (p *Policy) Rules() []Rule { return slices.Clone(p.rules) }

// Rule selects images and says what becomes of them.
type Rule struct {
	Priority    int // the lower the number, the earlier its turn; unique in the policy
	Description string
	TagStatus   TagStatus
	TagPatterns []string // of tagged images: * stands for any characters
	TagPrefixes []string // the same, in place of patterns: how tags begin
	Class       registry.StorageClass
	CountType   CountType
	CountNumber int // of images or of days
	Action      Action

	// What Amazon ECR does not have.
	TagsOnly bool   // only the tags that the list matches expire, and the image stays
	Group    string // a regular expression: images are counted for each text that its parentheses capture in tags

	items    []tagItem // TagPatterns or TagPrefixes
	grouping *grouping // Group; nil if there is none
}

// TagStatus says which images a rule is about.
type TagStatus string

// The words of a policy for images.
const (
	Tagged   TagStatus = "tagged" // and for each item of its list there is a tag that it matches
	Untagged TagStatus = "untagged"
	Any      TagStatus = "any"
)

// CountType says what a rule counts.
type CountType string

// The words of a policy for what is counted: images from the youngest on, or days.
const (
	ImageCountMoreThan     CountType = "imageCountMoreThan"
	SinceImagePushed       CountType = "sinceImagePushed"
	SinceImagePulled       CountType = "sinceImagePulled"
	SinceImageTransitioned CountType = "sinceImageTransitioned" // that is, archived
)

func (t CountType) known() bool {
	switch t {
	case ImageCountMoreThan, SinceImagePushed, SinceImagePulled, SinceImageTransitioned:
		return true
	}
	return false
}

// class is where the images are that can be counted in this way.
func (t CountType) class() registry.StorageClass {
	if t == SinceImageTransitioned {
		return registry.Archive
	}
	return registry.Standard
}

// minimum is the least CountNumber. What is archived is paid for 90 days in Amazon ECR.
func (t CountType) minimum() int {
	if t == SinceImageTransitioned {
		return 90
	}
	return 1
}

// Action is what becomes of an image.
type Action string

// The words of a policy for actions.
const (
	Expire     Action = "expire"     // it is deleted with all its tags
	Transition Action = "transition" // it is archived

	// Untag is what stands in the history of tags that have expired alone. In a policy and in a
	// decision it is Expire.
	Untag Action = "untag"
)
