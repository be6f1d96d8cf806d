package auth

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"berth/registry"
)

// comparison is how a condition compares what a request has with what the policy says.
type comparison uint8

const (
	compareEqual comparison = iota
	compareFold             // equal without regard to case
	compareBool
	compareLike // with wildcards
	compareARN  // the six parts of an ARN, each with wildcards
	compareAddress
	compareTime
	compareNumber
	compareNull // whether the request has the key at all
)

// relation is how times and numbers of a request stand to those of the policy.
type relation uint8

const (
	equal relation = iota
	less
	lessEqual
	greater
	greaterEqual
)

func (r relation) holds(order int) bool {
	switch r {
	case less:
		return order < 0
	case lessEqual:
		return order <= 0
	case greater:
		return order > 0
	case greaterEqual:
		return order >= 0
	}
	return order == 0
}

// quantifier says how many of the values that a request has under a key must do.
type quantifier uint8

const (
	single quantifier = iota // there is one
	forAll                   // all, even if there are none
	forAny                   // one at least
)

// operator is what a condition does, as its name says: ForAnyValue:StringLikeIfExists.
type operator struct {
	compare  comparison
	relation relation
	negated  bool
	ifExists bool // a request without the key meets the condition
	over     quantifier
}

// operators are those of IAM, in lower case, but BinaryEquals: no key here is binary.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
var operators = map[string]operator{
	"stringequals":              {compare: compareEqual},
	"stringnotequals":           {compare: compareEqual, negated: true},
	"stringequalsignorecase":    {compare: compareFold},
	"stringnotequalsignorecase": {compare: compareFold, negated: true},
	"stringlike":                {compare: compareLike},
	"stringnotlike":             {compare: compareLike, negated: true},
	"arnequals":                 {compare: compareARN},
	"arnlike":                   {compare: compareARN},
	"arnnotequals":              {compare: compareARN, negated: true},
	"arnnotlike":                {compare: compareARN, negated: true},
	"ipaddress":                 {compare: compareAddress},
	"notipaddress":              {compare: compareAddress, negated: true},
	"dateequals":                {compare: compareTime},
	"datenotequals":             {compare: compareTime, negated: true},
	"datelessthan":              {compare: compareTime, relation: less},
	"datelessthanequals":        {compare: compareTime, relation: lessEqual},
	"dategreaterthan":           {compare: compareTime, relation: greater},
	"dategreaterthanequals":     {compare: compareTime, relation: greaterEqual},
	"numericequals":             {compare: compareNumber},
	"numericnotequals":          {compare: compareNumber, negated: true},
	"numericlessthan":           {compare: compareNumber, relation: less},
	"numericlessthanequals":     {compare: compareNumber, relation: lessEqual},
	"numericgreaterthan":        {compare: compareNumber, relation: greater},
	"numericgreaterthanequals":  {compare: compareNumber, relation: greaterEqual},
	"bool":                      {compare: compareBool},
	"null":                      {compare: compareNull},
}

// parseOperator reads the name of an operator, whose case does not matter.
func parseOperator(name string) (operator, error) {
	base, over := strings.ToLower(name), single
	for prefix, q := range map[string]quantifier{"forallvalues:": forAll, "foranyvalue:": forAny} {
		if rest, ok := strings.CutPrefix(base, prefix); ok {
			base, over = rest, q
			break
		}
	}
	base, ifExists := strings.CutSuffix(base, "ifexists")
	op, ok := operators[base]
	switch {
	case !ok:
		return operator{}, fmt.Errorf("the condition operator %q is not known", registry.Clip(name))
	case op.compare == compareNull && (ifExists || over != single):
		return operator{}, fmt.Errorf("the condition operator Null goes with neither IfExists nor ForAllValues or ForAnyValue")
	}
	op.ifExists, op.over = ifExists, over
	return op, nil
}

// parseAddresses reads an address or a range of them.
func parseAddresses(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}

// timeLayouts are the forms of ISO 8601 that https://www.w3.org/TR/NOTE-datetime has.
// A fraction of a second may follow the first.
var timeLayouts = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"}

// parseTime reads a time, which may also be given in seconds since 1970.
func parseTime(s string) (time.Time, bool) {
	if len(s) > 4 && len(s) <= 12 && consistsOf(s, "0123456789") {
		seconds, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(seconds, 0), err == nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseNumber reads an integer or a decimal number.
func parseNumber(s string) (float64, bool) {
	if len(s) > 30 || !consistsOf(s, "0123456789.+-eE") {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}
