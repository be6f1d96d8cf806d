package lifecycle

import (
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// By is who is behind changes that a policy has made, in their [registry.Cause].
const By = "lifecycle"

// Cause is what is behind a change that was decided on.
func (d Decision) Cause() registry.Cause { return registry.Cause{By: By, Why: d.Why()} }

// Why says which rule it was, and what made it take the image.
func (d Decision) Why() string {
	why := fmt.Sprintf("rule %d: ", d.Rule)
	switch {
	case d.Follows != "":
		return why + "it went with " + string(d.Follows)
	case d.Rank > 0 && d.Group != "":
		return why + fmt.Sprintf("it was the %s in the group %q", youngest(d.Rank), registry.Clip(d.Group))
	case d.Rank > 0:
		return why + fmt.Sprintf("it was the %s", youngest(d.Rank))
	}
	return why + fmt.Sprintf("its days were counted for %s", span(d.Age))
}

// Has reports whether an image goes in the step.
func (s Step) Has(d digest.Digest) bool {
	return slices.ContainsFunc(s.Decisions, func(in Decision) bool { return in.Image.Digest == d })
}
