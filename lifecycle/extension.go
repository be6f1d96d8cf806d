package lifecycle

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// extension is the member of a policy and of a rule that has what Amazon ECR does not
// know. It refuses it.
const extension = "berth"

// What the extension has.
const (
	keepPulledDays = "keepPulledDays" // of a policy
	keepRunning    = "keepRunning"
	maxDeletesName = "maxDeletes"
	tagsOnly       = "tagsOnly" // of a rule
	countPerGroup  = "countPerGroup"
	expireByPull   = "expireByPull"
)

// extendPolicy reads the member of a policy.
func (r *reader) extendPolicy(p *Policy, b json.RawMessage) {
	o := r.object("the document", extension, b, shape{optional: []string{keepPulledDays, keepRunning, maxDeletesName}})
	p.Extended = true
	p.KeepPulledDays = o.integer(keepPulledDays, 1)
	p.KeepRunning = o.boolean(keepRunning)
	p.maxDeletes = o.maxDeletes(maxDeletesName)
}

// maxDeletes reads a limit: a number, or a percentage as a string.
func (o object) maxDeletes(name string) (m maxDeletes) {
	b := o.members[name]
	if b == nil {
		return m
	}
	if kind(b) == "integer" {
		return maxDeletes{number: o.integer(name, 1)}
	}
	var s string
	if kind(b) == "string" && json.Unmarshal(b, &s) == nil {
		digits, percent := strings.CutSuffix(s, "%")
		if n, err := strconv.ParseUint(digits, 10, 8); percent && err == nil && 0 < n && n <= 100 {
			return maxDeletes{number: int(n), percent: true}
		}
	}
	o.complain(name, fmt.Sprintf("instance value (%s) is no limit", written(b)),
		`write a number of images such as 100, or from "1%" to "100%" of those in the repository`)
	return m
}

// extendRule reads the member of a rule.
func (r *reader) extendRule(d *draft, b json.RawMessage) {
	o := r.object(d.where, extension, b, shape{optional: []string{tagsOnly, countPerGroup, expireByPull}})
	d.extended = true
	d.TagsOnly = o.boolean(tagsOnly)
	d.expireByPull = o.boolean(expireByPull)
	if !o.has(countPerGroup) {
		return
	}
	before := len(r.problems)
	if d.Group = o.text(countPerGroup); len(r.problems) > before {
		return
	}
	var bad *badGrouping
	if d.grouping, bad = newGrouping(d.Group); bad != nil {
		o.complain(countPerGroup, bad.what, bad.remedy)
	}
}

// checkExtension holds the member of a rule against the rest of it.
func (r *reader) checkExtension(d draft) {
	where := d.where + ", " + extension + "."
	if d.TagsOnly && d.TagStatus != Tagged {
		r.note(where+tagsOnly, "tagsOnly can only be used with tagStatus=tagged", `write "tagStatus": "tagged" and which tags are meant`)
	}
	if d.TagsOnly && d.Action != Expire {
		r.note(where+tagsOnly, "tagsOnly can only be used with the action type expire", "write expire, since tags are not archived without their image")
	}
	if d.Group != "" && d.TagStatus != Tagged {
		r.note(where+countPerGroup, "countPerGroup can only be used with tagStatus=tagged", `write "tagStatus": "tagged" and which tags are meant`)
	}
	if d.Group != "" && d.CountType != ImageCountMoreThan {
		r.note(where+countPerGroup, "countPerGroup can only be used with countType=imageCountMoreThan", "count images, since days are the same in each group")
	}
	if d.expireByPull && (d.CountType != SinceImagePulled || d.Action != Expire) {
		r.note(where+expireByPull, "expireByPull can only be used with countType=sinceImagePulled and the action type expire", "leave it out, or let the rule expire what is not pulled")
	}
}

// checkSizes holds what the expressions of all rules cost against what a policy may.
func (r *reader) checkSizes(drafts []draft) {
	size := 0
	for _, d := range drafts {
		if d.grouping != nil {
			size += d.grouping.size
		}
	}
	if size > maxGroupingSizes {
		r.note("the document, rules", fmt.Sprintf("countPerGroup is too large in all: a policy can have at most %d steps, found: %d", maxGroupingSizes, size),
			"join rules whose tags are alike; (.+)-[0-9]+ keeps the last of each branch, however many there are")
	}
}
