package auth_test

import (
	"encoding/json"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oracle evaluates policies as the user guide of IAM describes it, from their JSON,
// slowly, and with nothing of the package's. It takes policies that are valid.
type oracle struct {
	t        interface{ Fatal(...any) }
	action   string
	resource string // ARN of a repository, or "*"

	account string   // of who asks; empty for anonymous
	names   []string // ARNs that who asks goes by: the user's, or the session's and the role's
	home    string   // account of the registry

	context map[string][]string // keys in lower case
}

type oracleStatement struct {
	Effect                  string
	Principal, NotPrincipal any
	Action, NotAction       any
	Resource, NotResource   any
	Condition               map[string]map[string]any
}

// list is a string, a number, a truth value or a list of them, as strings.
func list(v any) (all []string) {
	switch v := v.(type) {
	case nil:
	case []any:
		for _, e := range v {
			all = append(all, list(e)...)
		}
	case string:
		all = []string{v}
	case bool:
		all = []string{strconv.FormatBool(v)}
	case float64:
		all = []string{strconv.FormatFloat(v, 'f', -1, 64)}
	}
	return all
}

// decide is the evaluation logic for one account and across accounts.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (o *oracle) decide(identity []string, resource ...string) (allowed bool) {
	byIdentity, byResource, denied := false, false, false
	for _, d := range identity {
		a, n := o.policy(d, false)
		byIdentity, denied = byIdentity || a, denied || n
	}
	if o.resource != "*" {
		for _, d := range resource {
			if d == "" {
				continue
			}
			a, n := o.policy(d, true)
			byResource, denied = byResource || a, denied || n
		}
	}
	switch {
	case denied:
		return false
	case o.account == "" || o.account == o.home:
		return byIdentity || byResource
	}
	return byIdentity && byResource
}

func (o *oracle) policy(document string, ofResource bool) (allows, denies bool) {
	var p struct {
		Version   string
		Statement []oracleStatement
	}
	if err := json.Unmarshal([]byte(document), &p); err != nil {
		o.t.Fatal(err)
	}
	for _, s := range p.Statement {
		if !o.applies(s, p.Version == "2012-10-17", ofResource) {
			continue
		}
		allows, denies = allows || s.Effect == "Allow", denies || s.Effect == "Deny"
	}
	return allows, denies
}

func (o *oracle) applies(s oracleStatement, variables, ofResource bool) bool {
	if s.Action != nil && !o.matchesAction(list(s.Action)) || s.NotAction != nil && o.matchesAction(list(s.NotAction)) {
		return false
	}
	if ofResource && !o.matchesPrincipal(s) {
		return false
	}
	for _, e := range []struct {
		member any
		want   bool
	}{{s.Resource, true}, {s.NotResource, false}} {
		if e.member == nil {
			continue
		}
		found := false
		for _, pattern := range list(e.member) {
			re, ok := o.compile(pattern, variables, true)
			if !ok {
				return false
			}
			found = found || pattern == "*" || o.resource != "*" && re.MatchString(o.resource)
		}
		if found != e.want {
			return false
		}
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			if !o.meets(operator, strings.ToLower(key), list(values), variables) {
				return false
			}
		}
	}
	return true
}

func (o *oracle) matchesAction(patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return wildcards("(?i)", p).MatchString(o.action)
	})
}

// matchesPrincipal is https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html:
// an account as a whole is allowed to allow its principals; in the registry's own that
// alone allows nobody.
func (o *oracle) matchesPrincipal(s oracleStatement) bool {
	element, not := s.Principal, false
	if s.NotPrincipal != nil {
		element, not = s.NotPrincipal, true
	}
	anyone, account, name := element == "*", false, false
	if kinds, ok := element.(map[string]any); ok {
		for _, p := range list(kinds["AWS"]) {
			anyone = anyone || p == "*"
			account = account || o.account != "" && (p == o.account || p == "arn:aws:iam::"+o.account+":root")
			name = name || slices.Contains(o.names, p)
		}
	}
	switch {
	case not && s.Effect == "Deny":
		return !anyone && !name
	case not:
		return !anyone && !name && !account && o.account != ""
	case s.Effect == "Allow" && o.account == o.home:
		return anyone || name
	}
	return anyone || name || account
}

// wildcards compiles a pattern without variables.
func wildcards(flags, pattern string) *regexp.Regexp {
	q := regexp.QuoteMeta(pattern)
	q = strings.ReplaceAll(strings.ReplaceAll(q, `\*`, `.*`), `\?`, `.`)
	return regexp.MustCompile("(?s)" + flags + "^(" + q + ")$")
}

var variableSyntax = regexp.MustCompile(`\$\{([^}]*)\}`)

// compile puts the values of variables into a text, or reports that one has none.
func (o *oracle) compile(text string, variables, wild bool) (*regexp.Regexp, bool) {
	ok := true
	var b strings.Builder
	rest := text
	literal := func(s string) {
		q := regexp.QuoteMeta(s)
		if wild {
			q = strings.ReplaceAll(strings.ReplaceAll(q, `\*`, `.*`), `\?`, `.`)
		}
		b.WriteString(q)
	}
	if variables {
		for _, m := range variableSyntax.FindAllStringSubmatchIndex(text, -1) {
			literal(text[len(text)-len(rest) : m[0]])
			rest = text[m[1]:]
			name, substitute, has := strings.Cut(text[m[2]:m[3]], ",")
			switch values := o.context[strings.ToLower(name)]; {
			case name == "*" || name == "?" || name == "$":
				b.WriteString(regexp.QuoteMeta(name))
			case len(values) > 0:
				b.WriteString(regexp.QuoteMeta(values[0]))
			case has:
				b.WriteString(regexp.QuoteMeta(strings.Trim(strings.TrimSpace(substitute), "'")))
			default:
				ok = false
			}
		}
	}
	literal(rest)
	return regexp.MustCompile("(?s)^(" + b.String() + ")$"), ok
}

// meets is https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
func (o *oracle) meets(operator, key string, values []string, variables bool) bool {
	operator, forAll := strings.CutPrefix(operator, "ForAllValues:")
	operator, forAny := strings.CutPrefix(operator, "ForAnyValue:")
	operator, ifExists := strings.CutSuffix(operator, "IfExists")
	has, there := o.context[key]
	if operator == "Null" {
		return slices.Contains(values, strconv.FormatBool(!there))
	}
	if !there && forAny {
		return false
	}
	if !there && ifExists {
		return true
	}
	if strings.HasPrefix(operator, "String") || strings.HasPrefix(operator, "Arn") || operator == "Bool" {
		for _, v := range values {
			if _, ok := o.compile(v, variables, true); !ok {
				return false
			}
		}
	}
	negated := strings.Contains(operator, "Not")
	does := func(value string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return o.compare(operator, value, v, variables) }) != negated
	}
	if forAll || forAny {
		has = slices.DeleteFunc(slices.Clone(has), func(v string) bool { return v == "" })
	}
	switch {
	case forAll:
		return !slices.ContainsFunc(has, func(v string) bool { return !does(v) })
	case forAny:
		return slices.ContainsFunc(has, does)
	case !there:
		return negated
	}
	return does(has[0])
}

// compare is the operator without its Not.
func (o *oracle) compare(operator, value, v string, variables bool) bool {
	switch strings.Replace(operator, "Not", "", 1) {
	case "StringEquals":
		re, _ := o.compile(v, variables, false)
		return re.MatchString(value)
	case "StringEqualsIgnoreCase":
		re, _ := o.compile(v, variables, false)
		return regexp.MustCompile("(?i)" + re.String()).MatchString(value)
	case "StringLike":
		re, _ := o.compile(v, variables, true)
		return re.MatchString(value)
	case "Bool":
		re, _ := o.compile(v, variables, false)
		return re.MatchString(value)
	case "ArnEquals", "ArnLike":
		hidden := variableSyntax.ReplaceAllStringFunc(v, func(s string) string { return strings.ReplaceAll(s, ":", "\x00") })
		patterns, parts := strings.SplitN(hidden, ":", 6), strings.SplitN(value, ":", 6)
		if len(parts) != 6 {
			return false
		}
		for i := range parts {
			if v == "*" {
				continue
			}
			if re, _ := o.compile(strings.ReplaceAll(patterns[i], "\x00", ":"), variables, true); !re.MatchString(parts[i]) {
				return false
			}
		}
		return true
	case "IpAddress":
		ip := net.ParseIP(value)
		if _, n, err := net.ParseCIDR(v); err == nil {
			return ip != nil && n.Contains(ip)
		}
		return ip != nil && ip.Equal(net.ParseIP(v))
	}
	var order int
	relation, isDate := strings.CutPrefix(operator, "Date")
	if isDate {
		a, okA := oracleTime(value)
		b, okB := oracleTime(v)
		if !okA || !okB {
			return false
		}
		order = a.Compare(b)
	} else {
		relation = strings.TrimPrefix(operator, "Numeric")
		a, errA := strconv.ParseFloat(value, 64)
		b, errB := strconv.ParseFloat(v, 64)
		if errA != nil || errB != nil {
			return false
		}
		order = map[bool]int{a < b: -1, a > b: 1}[true]
	}
	switch relation {
	case "LessThan":
		return order < 0
	case "LessThanEquals":
		return order <= 0
	case "GreaterThan":
		return order > 0
	case "GreaterThanEquals":
		return order >= 0
	}
	return order == 0
}

func oracleTime(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) > 4 {
		return time.Unix(n, 0), true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
