package lifecycle

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"berth/registry"
)

// maxInteger is the largest number in a policy, which leaves room for days to be
// subtracted from any date.
const maxInteger = math.MaxInt32

// reader reads a document and notes what is wrong with it. What it complains of it
// answers with a zero value, and goes on.
type reader struct {
	problems []Problem
}

func (r *reader) note(where, what, remedy string) {
	r.problems = append(r.problems, Problem{Where: where, What: what, Remedy: remedy})
}

// object is a JSON object of the document. Its methods read a member each, and nothing
// where there is no such member.
type object struct {
	*reader
	shape
	where   string
	path    string // what precedes the names of members in messages
	members map[string]json.RawMessage
}

// shape is what an object may look like.
type shape struct {
	required, optional []string
	schemas            int // the alternatives that Amazon ECR compares it with; zero is none
}

// object reads an object and complains of members that are missing, unknown or there
// twice.
func (r *reader) object(where, path string, b json.RawMessage, s shape) object {
	o := object{reader: r, shape: s, where: where, path: path}
	if kind(b) != "object" {
		o.wrongType("", b, "object")
		return o
	}
	var err error
	if o.members, err = registry.Members(b); err != nil {
		o.complain("", "Could not map policyString into LifecyclePolicy.", fmt.Sprintf("it %v", err))
		return o
	}
	known := slices.Concat(s.required, s.optional)
	var missing, unknown []string
	for _, name := range s.required {
		if !o.has(name) {
			missing = append(missing, name)
		}
	}
	for name := range o.members {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		o.complain("", fmt.Sprintf("object instance has properties which are not allowed by the schema: (%s)", quoted(unknown)),
			"allowed are "+strings.Join(known, ", ")+", written exactly so")
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		o.complain("", fmt.Sprintf("object has missing required properties (%s)", quoted(missing)), "add "+strings.Join(missing, ", "))
	}
	return o
}

func (o object) has(name string) bool { return o.members[name] != nil }

// complain notes a problem with a member, or with the object if name is empty.
func (o object) complain(name, what, remedy string) {
	where := o.where
	if at := strings.Trim(o.path+"."+name, "."); at != "" {
		where += ", " + at
	}
	o.note(where, what, remedy)
}

// mismatch notes that the object is none of the alternatives because of a member.
func (o object) mismatch(name, remedy string) {
	o.complain(name, fmt.Sprintf("instance failed to match exactly one schema (matched 0 out of %d)", o.schemas), remedy)
}

func (o object) wrongType(name string, b json.RawMessage, want string) {
	o.complain(name, fmt.Sprintf("instance type (%s) does not match any allowed primitive type (allowed: [%q])", kind(b), want),
		fmt.Sprintf("write the JSON type %s here", want))
}

// integer reads a whole number that is written as one: 5, not 5.0.
func (o object) integer(name string, minimum int) int {
	b := o.members[name]
	if b == nil {
		return 0
	}
	if kind(b) != "integer" {
		o.wrongType(name, b, "integer")
		return 0
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	switch {
	case n < int64(minimum): // what does not fit is the least or the largest that does
		o.complain(name, fmt.Sprintf("numeric instance is lower than the required minimum (minimum: %d, found: %s)",
			minimum, registry.Clip(string(b))), fmt.Sprintf("write %d or more", minimum))
	case err != nil || n > maxInteger:
		o.complain(name, fmt.Sprintf("numeric instance is greater than the required maximum (maximum: %d, found: %s)",
			maxInteger, registry.Clip(string(b))), fmt.Sprintf("write %d or less", maxInteger))
	default:
		return int(n)
	}
	return 0
}

// boolean reads true or false.
func (o object) boolean(name string) bool {
	b := o.members[name]
	if b != nil && kind(b) != "boolean" {
		o.wrongType(name, b, "boolean")
	}
	return string(b) == "true"
}

// text reads a string.
func (o object) text(name string) (s string) {
	b := o.members[name]
	if b == nil {
		return ""
	}
	if kind(b) != "string" || json.Unmarshal(b, &s) != nil {
		o.wrongType(name, b, "string")
	}
	return s
}

// choice reads one of some words.
func (o object) choice(name string, words ...string) string {
	b := o.members[name]
	if b == nil || o.needlessNull(name) {
		return ""
	}
	var s string
	if kind(b) == "string" && json.Unmarshal(b, &s) == nil && slices.Contains(words, s) {
		return s
	}
	o.complain(name, fmt.Sprintf("instance value (%s) not found in enum :(possible values: %s)", written(b), quoted(words)),
		"write "+strings.Join(words, " or ")+", in lower case")
	return ""
}

// list reads a list of strings that is not empty.
func (o object) list(name string) []string {
	b := o.members[name]
	if b == nil || o.needlessNull(name) {
		return nil
	}
	var items []json.RawMessage
	if kind(b) != "array" || json.Unmarshal(b, &items) != nil {
		o.wrongType(name, b, "array")
		return nil
	}
	if len(items) == 0 {
		o.complain(name, "array is too short: must have at least 1 elements but instance has 0 elements",
			"name at least one, or leave the list out")
		return nil
	}
	list := make([]string, len(items))
	for i, item := range items {
		if kind(item) != "string" || json.Unmarshal(item, &list[i]) != nil {
			o.wrongType(name, item, "string")
			return nil
		}
	}
	return list
}

// needlessNull complains of null where a member could be left out, as Amazon ECR does.
func (o object) needlessNull(name string) bool {
	if kind(o.members[name]) != "null" || !slices.Contains(o.optional, name) {
		return false
	}
	o.mismatch(name, "leave it out instead of writing null")
	return true
}

// kind is the type of a JSON value, as JSON Schema calls it.
func kind(b json.RawMessage) string {
	switch b[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	if strings.ContainsAny(string(b), ".eE") {
		return "number"
	}
	return "integer"
}

// written is a value with its escapes and on one line, so that a message is one.
func written(b json.RawMessage) string {
	return registry.Clip(strings.Join(strings.Fields(strings.Trim(string(b), `"`)), " "))
}

// quoted lists strings as JSON does.
func quoted(list []string) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = strconv.Quote(s)
	}
	return registry.Clip("[" + strings.Join(all, ", ") + "]")
}
