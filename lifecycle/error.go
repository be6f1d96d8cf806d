package lifecycle

import (
	"fmt"
	"strings"
)

// shownProblems is how many problems the text of an error has. A document can have
// hundreds; after a few, one reads them as "start anew".
const shownProblems = 5

// InvalidError is why a policy was refused: everything that is wrong with it, at least
// one thing. What Amazon ECR would complain of comes first.
type InvalidError struct {
	Problems []Problem
}

// Problem is one thing that is wrong with a policy.
type Problem struct {
	Where  string // such as "rule #2 (rulePriority 20), selection.countUnit"
	What   string // in the words of Amazon ECR where they are known
	Remedy string // what to do
}

// Error begins as Amazon ECR's message does. In its API the message stands in the
// quotation marks of "Invalid parameter at 'LifecyclePolicyText' failed to satisfy
// constraint: '...'".
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("Lifecycle policy validation failure: ")
	for i, p := range e.Problems {
		if i == shownProblems {
			fmt.Fprintf(&b, " And %d more.", len(e.Problems)-i)
			break
		}
		if i > 0 {
			b.WriteString(" Also: ")
		}
		fmt.Fprintf(&b, "%s; in %s: %s.", strings.TrimSuffix(p.What, "."), p.Where, p.Remedy)
	}
	return b.String()
}
