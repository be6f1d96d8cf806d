package auth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/auth"
	"berth/registry"
)

// parsers are all that read what others have written.
var parsers = map[auth.PolicyKind]func(string) (*auth.Policy, error){
	auth.IdentityPolicy:   func(d string) (*auth.Policy, error) { return auth.ParsePolicy("p", d) },
	auth.RepositoryPolicy: auth.ParseRepositoryPolicy,
	auth.RegistryPolicy:   auth.ParseRegistryPolicy,
}

var hostileDocuments = []struct{ name, document, says string }{
	{"much of it", document(`{"Sid":"` + strings.Repeat("x", 20<<10) + `"}`), "at most"},
	{"much white space", document(strings.Repeat(" ", 1<<20) + allowAll), "at most"},
	{"deep lists", document(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), "at most"},
	{"deeper than it is long", document(strings.Repeat("[", 3000)), "nested more than 16 deep"},
	{"deep objects", document(strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)), "nested more than 16 deep"},
	{"brackets in strings", document(`{"Sid":"` + strings.Repeat("[", 100) + `\"` + strings.Repeat("{", 100) + `"}`), "at most 128"},
	{"members twice", `{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}`, "twice"},
	{"members twice, escaped", `{"Version":"2012-10-17","Statement":[],"\u0053tatement":[]}`, "twice"},
	{"many members", document(`{` + strings.Repeat(`"a":1,`, 500) + `"b":2}`), "twice"},
	{"numbers", document(`{"Effect":1e999}`), ""},
	{"no JSON", "\x00", "not JSON"},
	{"a byte order mark", "\ufeff" + document(allowAll), "not JSON"},
}

func TestHostileDocuments(t *testing.T) {
	for _, test := range hostileDocuments {
		for kind, parse := range parsers {
			start := time.Now()
			_, err := parse(test.document)
			if !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s, %s: got %v, which should say %q", test.name, kind, err, test.says)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("%s, %s: took %s", test.name, kind, d)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("%s, %s: the error has %d bytes", test.name, kind, len(err.Error()))
			}
		}
	}
}

// TestHostilePatterns decides by policies that a matcher which tries every way would
// never come to an end with.
func TestHostilePatterns(t *testing.T) {
	bomb := strings.Repeat("a*", 1000) + "b"
	conditions := map[string]string{
		"StringLike":                  `"aws:PrincipalTag/x":"` + bomb + `"`,
		"StringNotLike":               `"aws:PrincipalTag/x":"` + strings.Repeat("*?", 1000) + `c"`,
		"ForAllValues:StringLike":     `"aws:TagKeys":["` + strings.Repeat("*a", 1000) + `","` + bomb + `"]`,
		"ArnLike":                     `"aws:PrincipalTag/arn":"arn:*a*a*a*b:` + strings.Repeat("*a", 500) + `:c:d:e:` + strings.Repeat("?*", 500) + `"`,
		"StringLikeIfExists":          `"aws:PrincipalTag/x":"` + strings.Repeat("${aws:PrincipalTag/x}*", 8) + `b"`,
		"ForAnyValue:StringNotEquals": `"aws:TagKeys":["` + strings.Repeat("*", 5000) + `"]`,
	}
	long := strings.Repeat("a", 256)
	r := auth.Request{Action: auth.PutImage, Repo: registry.Name(long), Principal: ann}
	r.Context.PrincipalTags = map[string]string{"x": long, "arn": "arn:" + long[:60] + ":" + long[:60] + ":c:d:" + long[:120]}
	r.Context.Tags = map[string]string{long[:128]: long}
	for operator, condition := range conditions {
		p, err := auth.ParsePolicy("p", document(`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"`+operator+`":{`+condition+`}}}`))
		must(t, err)
		if d := slowest(t, auth.Policies{Identity: []*auth.Policy{p}}, r); d > 5*time.Millisecond {
			t.Errorf("%s: a decision took %s", operator, d)
		}
	}

	// As many statements as fit, each with the worst resource there is.
	resource := "arn:aws:ecr:*:*:repository/" + strings.Repeat("*a", 120) + "b"
	statement := fmt.Sprintf(`{"Effect":"Deny","Principal":"*","Action":"*","Resource":%q},`, resource)
	n := (auth.MaxResourcePolicySize - 60) / len(statement)
	p, err := auth.ParseRegistryPolicy(document("[" + strings.TrimSuffix(strings.Repeat(statement, n), ",") + "]"))
	must(t, err)
	if d := slowest(t, auth.Policies{Registry: p}, r); d > 50*time.Millisecond {
		t.Errorf("%d statements: a decision took %s", n, d)
	}
}

// slowest is how long a decision takes: the best of some, since others use the machine.
func slowest(t *testing.T, p auth.Policies, r auth.Request) time.Duration {
	t.Helper()
	best := time.Hour
	for range 10 {
		start := time.Now()
		auth.Decide(p, r)
		best = min(best, time.Since(start))
	}
	return best
}

// FuzzPolicies reads what anyone may write as each kind of policy, and decides by it.
func FuzzPolicies(f *testing.F) {
	for _, test := range acceptedPolicies {
		f.Add(test.document)
	}
	for _, test := range resourcePolicies {
		f.Add(test.document)
	}
	for _, test := range principalTests {
		f.Add(document(`{"Effect":"Deny",` + test.principal + `,"Action":"ecr:*"}`))
	}
	for _, test := range conditionTests {
		f.Add(document(`{"Effect":"Allow","Principal":"*","Action":"*","Condition":` + test.condition + `}`))
		f.Add(document(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":` + test.condition + `}`))
	}
	for _, test := range refusedConditions {
		f.Add(document(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":` + test.condition + `}`))
	}
	for _, test := range hostileDocuments {
		f.Add(test.document[:min(len(test.document), 1000)])
	}
	f.Fuzz(func(t *testing.T, document string) {
		for kind, parse := range parsers {
			p, err := parse(document)
			if err != nil {
				if p != nil || !errors.Is(err, auth.ErrPolicyInvalid) {
					t.Fatalf("%v, %v", p, err)
				}
				continue
			}
			if p.Kind != kind {
				t.Fatalf("the policy is one of the %s", p.Kind)
			}
			for _, who := range []auth.Principal{ann, session, auth.Nobody, foreign} {
				r := asked()
				r.Principal = who
				by := map[auth.PolicyKind]auth.Policies{
					auth.IdentityPolicy: {Identity: []*auth.Policy{p}}, auth.RegistryPolicy: {Registry: p}, auth.RepositoryPolicy: {Repository: p},
				}[kind]
				d := auth.Decide(by, r)
				if again := auth.Decide(by, r); again != d {
					t.Fatalf("%+v, then %+v", d, again)
				}
				if d.Explicit != (d.Statement != "") || d.Allowed && !d.Explicit || d.Allowed && who.Account != "" {
					t.Fatalf("%+v", d)
				}
			}
		}
	})
}
