package lifecycle

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"berth/registry"
)

// Parse reads a lifecycle policy as Amazon ECR has them, or one that goes beyond it in
// members berth. It is strict: a member it does not know, a name written twice, a member
// that its rule has no use for is an error, since what is misunderstood here deletes
// images. Its errors are [*InvalidError].
func Parse(text string) (*Policy, error) {
	var r reader
	p := &Policy{Text: text}
	drafts := r.document(p)
	r.check(drafts)
	if len(r.problems) > 0 {
		return nil, &InvalidError{Problems: r.problems}
	}
	p.rules = make([]Rule, len(drafts))
	for i, d := range drafts {
		p.rules[i] = d.Rule
		p.rules[i].items = tagItems(d.Rule)
		p.Extended = p.Extended || d.extended
	}
	slices.SortFunc(p.rules, func(a, b Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	return p, nil
}

// draft is a rule that says everything it has to, before it is held against the others.
type draft struct {
	Rule
	where        string
	extended     bool // it has a member berth
	expireByPull bool
}

// document reads the text of a policy: what is not in rules into the policy, and the
// rules that are well formed.
func (r *reader) document(p *Policy) []draft {
	text := p.Text
	const where, unreadable = "the document", "Could not map policyString into LifecyclePolicy."
	if n := utf8.RuneCountInString(text); n > MaxLength {
		r.note(where, fmt.Sprintf("the text has %d characters", n), fmt.Sprintf("write at most %d", MaxLength))
		return nil
	}
	if !utf8.ValidString(text) {
		r.note(where, unreadable, "it is not UTF-8")
		return nil
	}
	var b json.RawMessage
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		r.note(where, unreadable, fmt.Sprintf("it is not JSON: %v", err))
		return nil
	}
	o := r.object(where, "", b, shape{required: []string{"rules"}, optional: []string{extension}})
	if o.has(extension) {
		r.extendPolicy(p, o.members[extension])
	}
	if !o.has("rules") {
		return nil
	}
	var list []json.RawMessage
	if b := o.members["rules"]; kind(b) != "array" || json.Unmarshal(b, &list) != nil {
		o.wrongType("rules", b, "array")
		return nil
	}
	switch {
	case len(list) == 0:
		o.complain("rules", "array is too short: must have at least 1 elements but instance has 0 elements",
			"write a rule, or delete the policy if nothing is to happen")
	case len(list) > MaxRules:
		o.complain("rules", fmt.Sprintf("array is too long: must have at most %d elements but instance has %d elements", MaxRules, len(list)),
			"join rules that do the same to similar tags")
		return nil
	}
	drafts := make([]draft, 0, len(list))
	for i, b := range list {
		before := len(r.problems)
		d := r.rule(i+1, b)
		if len(r.problems) == before {
			drafts = append(drafts, d)
		}
	}
	return drafts
}

// rule reads the rule that is at a position of the text, the first at 1.
func (r *reader) rule(position int, b json.RawMessage) draft {
	d := draft{where: fmt.Sprintf("rule #%d", position)}
	o := r.object(d.where, "", b, shape{
		required: []string{"rulePriority", "selection", "action"},
		optional: []string{"description", extension},
	})
	if d.Priority = o.integer("rulePriority", 1); d.Priority > 0 {
		d.where += fmt.Sprintf(" (rulePriority %d)", d.Priority)
		o.where = d.where
	}
	d.Description = o.text("description")
	if o.has("selection") {
		r.selection(&d, o.members["selection"])
	}
	if o.has("action") {
		r.action(&d, o.members["action"])
	}
	if o.has(extension) {
		r.extendRule(&d, o.members[extension])
	}
	return d
}

func (r *reader) selection(d *draft, b json.RawMessage) {
	o := r.object(d.where, "selection", b, shape{
		required: []string{"tagStatus", "countType", "countNumber"},
		optional: []string{"tagPatternList", "tagPrefixList", "storageClass", "countUnit"},
		schemas:  4, // one a count type
	})
	d.TagStatus = TagStatus(o.choice("tagStatus", string(Any), string(Tagged), string(Untagged)))
	d.TagPatterns = o.list("tagPatternList")
	d.TagPrefixes = o.list("tagPrefixList")
	d.CountType = CountType(o.text("countType"))
	d.CountNumber = o.integer("countNumber", d.CountType.minimum())
	unit := o.choice("countUnit", "days")
	d.Class = registry.Standard
	if o.has("storageClass") {
		d.Class = registry.StorageClass(o.choice("storageClass", string(registry.Standard), string(registry.Archive)))
	}
	if !d.CountType.known() {
		if d.CountType != "" {
			o.mismatch("countType", fmt.Sprintf("write %s, %s, %s or %s",
				ImageCountMoreThan, SinceImagePushed, SinceImagePulled, SinceImageTransitioned))
		}
		return
	}
	switch counts := d.CountType == ImageCountMoreThan; {
	case counts && unit != "":
		o.mismatch("countUnit", "leave it out, since imageCountMoreThan counts images")
	case !counts && !o.has("countUnit"):
		o.mismatch("countUnit", `add "countUnit": "days"`)
	}
	if class := d.CountType.class(); d.Class != "" && d.Class != class {
		o.mismatch("storageClass", fmt.Sprintf("%s needs %q here", d.CountType, class))
	}
}

func (r *reader) action(d *draft, b json.RawMessage) {
	o := r.object(d.where, "action", b, shape{
		required: []string{"type"},
		optional: []string{"targetStorageClass"},
		schemas:  2, // one a type
	})
	d.Action = Action(o.choice("type", string(Expire), string(Transition)))
	target := o.choice("targetStorageClass", string(registry.Archive))
	switch {
	case d.Action == Expire && target != "":
		o.mismatch("targetStorageClass", "leave it out, since what expires is kept nowhere")
	case d.Action == Transition && !o.has("targetStorageClass"):
		o.mismatch("targetStorageClass", `add "targetStorageClass": "archive"`)
	}
}
