package auth

// MaxPolicySize is the longest identity policy, in characters that are not white
// space: IAM's limit for managed policies.
const MaxPolicySize = 6144

// Effect is what a statement does with the requests it speaks of.
type Effect string

// The effects of IAM.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Policy is an identity policy, ready for decisions. [ParsePolicy] makes it; it
// does not change afterwards.
type Policy struct {
	Name     string
	Document string // the JSON it was made of

	statements []statement
}

// statement is one rule of a policy.
type statement struct {
	label     string // its Sid, or its position: "#1"
	effect    Effect
	actions   actionSet // those it speaks of; NotAction is resolved
	resources []resource
	inverted  bool // NotResource: it speaks of all but resources
}

// speaksOf reports whether the statement is about the request.
func (s *statement) speaksOf(action int, r Request) bool {
	if !s.actions.has(action) {
		return false
	}
	for i := range s.resources {
		if s.resources[i].matches(r.Location, r.Repo) {
			return !s.inverted
		}
	}
	return s.inverted
}
