package auth_test

import (
	"errors"
	"strings"
	"testing"

	"berth/auth"
	"berth/registry"
)

var resourcePolicies = []struct{ name, document, says string }{
	{"as ECR documents it", `{"Version":"2008-10-17","Statement":[{"Sid":"allow public pull","Effect":"Allow","Principal":"*","Action":["ecr:BatchGetImage"]}]}`, ""},
	{"without a version", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*"}}`, ""},
	{"sids twice", document(`[{"Sid":"a b","Effect":"Allow","Principal":"*","Action":"ecr:*"},{"Sid":"a b","Effect":"Deny","Principal":"*","Action":"ecr:*"}]`), ""},
	{"with a resource", document(`{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/team/*"}`), ""},
	{"but a resource", document(`{"Effect":"Deny","Principal":"*","Action":"ecr:*","NotResource":["arn:aws:ecr:*:*:repository/${aws:username}"]}`), ""},
	{"10,240 characters", padded(auth.MaxResourcePolicySize), ""},
	{"one more", padded(auth.MaxResourcePolicySize + 1), "10241 characters; at most 10240"},
	{"characters are not bytes", strings.Replace(padded(auth.MaxResourcePolicySize), "xxxxxxxx", "ßßßßßßßß", 1), ""},
	{"both resources", document(`{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"*","NotResource":"*"}`), "exactly one of Resource"},
	{"a bucket", document(`{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:s3:::bucket"}`), "not of this registry"},
	{"nothing", ``, "ends too early"},
	{"unknown action", document(`{"Effect":"Allow","Principal":"*","Action":"ecr:Frobnicate"}`), "misspelt"},
	{"no principal", document(`{"Effect":"Allow","Action":"ecr:*"}`), "exactly one of Principal"},
	{"bad version", `{"Version":"2026-01-01","Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*"}}`, "Version must be"},
	{"unknown member", document(`{"Effect":"Allow","Principal":"*","Action":"ecr:*","When":"now"}`), `"When" is not known`},
}

// padded is a policy of n characters, most of them in its id.
func padded(n int) string {
	const around = `{"Id":"","Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*"}}`
	return strings.Replace(around, `""`, `"`+strings.Repeat("x", n-len(around))+`"`, 1)
}

func TestParseResourcePolicies(t *testing.T) {
	for _, test := range resourcePolicies {
		for kind, parse := range map[auth.PolicyKind]func(string) (*auth.Policy, error){
			auth.RepositoryPolicy: auth.ParseRepositoryPolicy,
			auth.RegistryPolicy:   auth.ParseRegistryPolicy,
		} {
			p, err := parse(test.document)
			switch {
			case test.says == "" && (err != nil || p.Kind != kind):
				t.Errorf("%s: %v", test.name, err)
			case test.says != "" && (!errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.says)):
				t.Errorf("%s: got %v, which should say %q", test.name, err, test.says)
			}
		}
	}
}

// The sides that have a say, each as a statement.
const (
	allowAnn   = `{"Sid":"Ann","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:user/ann"},"Action":"ecr:PutImage"}`
	denyAnn    = `{"Sid":"NotAnn","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:user/ann"},"Action":"ecr:PutImage"}`
	allowOther = `{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"ecr:*"}`
	allowAny   = `{"Effect":"Allow","Principal":"*","Action":"ecr:*"}`
	denyAny    = `{"Effect":"Deny","Principal":"*","Action":"ecr:*"}`
	teamOnly   = `{"Sid":"Team","Effect":"Allow","Principal":"*","Action":"ecr:PutImage","Resource":"arn:aws:ecr:*:*:repository/team/*"}`
	outside    = `{"Sid":"Outside","Effect":"Deny","Principal":"*","Action":"ecr:*","Condition":{"NotIpAddress":{"aws:SourceIp":"198.51.100.0/24"}}}`
	own        = `{"Sid":"Own","Effect":"Allow","Action":"ecr:PutImage","Resource":"arn:aws:ecr:*:*:repository/${aws:username}/*"}`
	denyPut    = `{"Sid":"NoPush","Effect":"Deny","Action":"ecr:PutImage","Resource":"*"}`
)

var sidesTests = []struct {
	name                           string
	who                            auth.Principal
	identity, registry, repository string
	repo                           registry.Name
	want                           string
}{
	{"nothing said", ann, "", "", "", "team/app", "no"},
	{"by identity", ann, allowAll, "", "", "team/app", "yes identity #1"},
	{"by the repository", ann, "", "", allowAnn, "team/app", "yes repository Ann"},
	{"by the registry", ann, "", allowAnn, "", "team/app", "yes registry Ann"},
	{"the first is named", ann, allowAll, allowAnn, allowAny, "team/app", "yes identity #1"},
	{"the registry before the repository", ann, "", allowAnn, allowAny, "team/app", "yes registry Ann"},
	{"denied by identity", ann, denyPut, allowAnn, allowAnn, "team/app", "no identity NoPush"},
	{"denied by the repository", ann, allowAll, allowAnn, denyAnn, "team/app", "no repository NotAnn"},
	{"denied by the registry", ann, allowAll, denyAnn, allowAnn, "team/app", "no registry NotAnn"},
	{"denied by the repository alone", ann, "", "", denyAny, "team/app", "no repository #1"},
	{"a statement about others", robot, "", "", allowAnn, "team/app", "no"},
	{"a registry's resources", ann, "", teamOnly, "", "team/app", "yes registry Team"},
	{"a registry's other resources", ann, "", teamOnly, "", "other/app", "no"},
	{"from outside", ann, allowAll, outside, "", "team/app", "no registry Outside"},
	{"anonymous by the repository", auth.Nobody, "", "", allowAny, "team/app", "yes repository #1"},
	{"anonymous by name", auth.Nobody, "", allowAnn, allowOther, "team/app", "no"},
	{"a variable", ann, own, "", "", "ann/app", "yes identity Own"},
	{"a variable for others", ann, own, "", "", "bob/app", "no"},
	{"a variable without a value", session, own, "", "", "build/app", "no"},

	// Other accounts need both sides.
	{"other account by identity", foreign, allowAll, "", "", "team/app", "no"},
	{"other account by resource", foreign, "", "", allowOther, "team/app", "no"},
	{"other account by both", foreign, allowAll, "", allowOther, "team/app", "yes repository #1"},
	{"other account by everyone", foreign, allowAll, allowAny, "", "team/app", "yes registry #1"},
	{"other account denied", foreign, denyPut, "", allowOther, "team/app", "no identity NoPush"},

	// What concerns the registry itself is for identity policies alone.
	{"the registry itself by identity", ann, allowAll, denyAny, denyAny, "", "yes identity #1"},
	{"the registry itself by resource", ann, "", allowAny, allowAny, "", "no"},
	{"the registry itself by another account", foreign, allowAll, allowAny, "", "", "no"},
}

// resourcePolicy parses a statement, or is nil.
func resourcePolicy(t testing.TB, parse func(string) (*auth.Policy, error), statement string) *auth.Policy {
	t.Helper()
	if statement == "" {
		return nil
	}
	p, err := parse(document(statement))
	must(t, err)
	return p
}

func TestSides(t *testing.T) {
	for _, test := range sidesTests {
		p := auth.Policies{
			Registry:   resourcePolicy(t, auth.ParseRegistryPolicy, test.registry),
			Repository: resourcePolicy(t, auth.ParseRepositoryPolicy, test.repository),
		}
		if test.identity != "" {
			p.Identity = policies(t, test.identity)
		}
		r := asked()
		r.Principal, r.Repo = test.who, test.repo
		d := auth.Decide(p, r)
		got := "no"
		if d.Allowed {
			got = "yes"
		}
		if d.Explicit {
			got += " " + string(d.Kind) + " " + d.Statement
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

var statementTests = []struct {
	name, statement string
	repo            registry.Name
	want            bool
}{
	{"a repository policy's own resource", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/team/app"}`, "team/app", true},
	{"one that it is not", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/team/web"}`, "team/app", false},
	{"but one that it is not", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","NotResource":"arn:aws:ecr:*:*:repository/team/web"}`, "team/app", true},
	{"all but an action", `{"Effect":"Allow","Principal":"*","NotAction":"ecr:Delete*"}`, "team/app", true},
	{"all but the action", `{"Effect":"Allow","Principal":"*","NotAction":["ecr:Delete*","ecr:Put*"]}`, "team/app", false},
	{"any case", `{"Effect":"Allow","Principal":"*","Action":"ECR:PUTimage"}`, "team/app", true},
	{"two variables", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/${aws:ResourceTag/team, 'x'}/${aws:username}-?"}`, "blue/ann-1", true},
	{"a variable that stands for itself", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/${aws:PrincipalTag/star}"}`, "blue", false},
	{"one of several", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":["arn:aws:ecr:*:*:repository/x","arn:aws:ecr:*:*:repository/team/${aws:PrincipalTag/no, '*'}","*"]}`, "team/app", true},
	{"one of several that has no value", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":["*","arn:aws:ecr:*:*:repository/${aws:PrincipalTag/no}"]}`, "team/app", false},
	{"all but one that has no value", `{"Effect":"Allow","Principal":"*","Action":"ecr:*","NotResource":"arn:aws:ecr:*:*:repository/${aws:PrincipalTag/no}"}`, "team/app", false},
}

func TestStatements(t *testing.T) {
	for _, test := range statementTests {
		p := auth.Policies{Repository: resourcePolicy(t, auth.ParseRepositoryPolicy, test.statement)}
		r := asked()
		r.Repo = test.repo
		if got := auth.Decide(p, r).Allowed; got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

var refusedResources = []struct{ resource, says string }{
	{"arn:aws:ecr:r:1:repository/${aws:username", "not closed"},
	{"arn:aws:ecr:r:1:repository/a${*}b", "no name of a repository has a *"},
	{"arn:aws:ecr:r:1:repository/Team/${aws:username}", "lower-case"},
	{"arn:aws:ecr:r:1:repository/" + strings.Repeat("a/", 150) + "${aws:username}", "at most 256"},
	{"arn:aws:ecr:${aws:username}:1:repository/a", "does not name repositories"},
	{"${aws:username}", "not a repository ARN"},
}

func TestResourcesThatAreRefused(t *testing.T) {
	for _, test := range refusedResources {
		_, err := auth.ParsePolicy("p", document(`{"Effect":"Allow","Action":"*","Resource":"`+test.resource+`"}`))
		if !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, which should say %q", test.resource, err, test.says)
		}
	}
	_, err := auth.ParsePolicy("p", `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:r:1:repository/${aws:username}"}}`)
	if !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), "2012-10-17") {
		t.Errorf("a variable of 2008: %v", err)
	}
}
