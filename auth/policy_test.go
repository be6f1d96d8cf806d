package auth_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"berth/auth"
	"berth/registry"
)

func document(statements string) string {
	return `{"Version":"2012-10-17","Statement":` + statements + `}`
}

const allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`

var acceptedPolicies = []struct{ name, document string }{
	{"statement object", document(allowAll)},
	{"statement list", document(`[` + allowAll + `,` + allowAll + `]`)},
	{"old version and id", `{"Version":"2008-10-17","Id":"x","Statement":` + allowAll + `}`},
	{"lists", document(`{"Sid":"a b","Effect":"Deny","Action":["ecr:PutImage","ecr:Batch*"],"Resource":["*","arn:aws:ecr:eu-west-1:123456789012:repository/team/*"]}`)},
	{"any case", document(`{"Effect":"Allow","Action":"ECR:putimage","Resource":"*"}`)},
	{"not", document(`{"Effect":"Allow","NotAction":"ecr:Delete*","NotResource":"arn:aws:ecr:*:*:repository/prod/*"}`)},
	{"empty sids", document(`[{"Sid":"","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"","Effect":"Allow","Action":"*","Resource":"*"}]`)},
	{"white space does not count", document(strings.Repeat(" ", 9000) + allowAll)},
}

var refusedPolicies = []struct{ name, document, says string }{
	{"empty", ``, "ends too early"},
	{"no object", `[]`, "not a JSON object"},
	{"cut short", `{"Version":"2012-10-17"`, "not JSON"},
	{"more behind", document(allowAll) + `{}`, "goes on after its end"},
	{"no version", `{"Statement":` + allowAll + `}`, "Version is missing"},
	{"bad version", `{"Version":"2020-01-01","Statement":` + allowAll + `}`, `"2012-10-17" or "2008-10-17"`},
	{"version number", `{"Version":2012,"Statement":` + allowAll + `}`, "Version must be a string"},
	{"no statement", `{"Version":"2012-10-17"}`, "Statement is missing"},
	{"no statements", document(`[]`), "empty list"},
	{"statement string", document(`"x"`), "not a JSON object"},
	{"unknown member", `{"Version":"2012-10-17","Statement":` + allowAll + `,"Extra":1}`, `"Extra" is not known`},
	{"lower case member", document(`{"effect":"Allow","Action":"*","Resource":"*"}`), `"effect" is not known`},
	{"member twice", document(`{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}`), `"Effect" twice`},
	{"bad effect", document(`{"Effect":"allow","Action":"*","Resource":"*"}`), `"Allow" or "Deny"`},
	{"principal", document(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`), "no Principal"},
	{"no action", document(`{"Effect":"Allow","Resource":"*"}`), "exactly one of Action and NotAction"},
	{"both actions", document(`{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}`), "exactly one"},
	{"no resource", document(`{"Effect":"Allow","Action":"*"}`), "exactly one of Resource"},
	{"empty action list", document(`{"Effect":"Allow","Action":[],"Resource":"*"}`), "not empty"},
	{"null action", document(`{"Effect":"Allow","Action":[null],"Resource":"*"}`), "without null"},
	{"action number", document(`{"Effect":"Allow","Action":7,"Resource":"*"}`), "list of strings"},
	{"other service", document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`), `begin with "ecr:"`},
	{"misspelt", document(`{"Effect":"Allow","Action":"ecr:PutImages","Resource":"*"}`), "misspelt"},
	{"misspelt not", document(`{"Effect":"Allow","NotAction":"ecr:Nothing*","Resource":"*"}`), "misspelt"},
	{"bare name", document(`{"Effect":"Allow","Action":"*","Resource":"team/app"}`), "not a repository ARN"},
	{"no repository", document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:r:1:*"}`), "does not name repositories"},
	{"other arn", document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:r:1:repository/x"}`), "not of this registry"},
	{"empty name", document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:r:1:repository/"}`), "empty"},
	{"upper case name", document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:r:1:repository/Team"}`), "lower-case"},
	{"variable", document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:r:1:repository/${username}"}`), "no condition key"},
	{"bad account", document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:r:abc:repository/x"}`), "account must be digits"},
	{"bad region", document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr::1:repository/x"}`), "region must be"},
	{"sid twice", document(`[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}]`), "used twice"},
	{"sid with line end", document(`{"Sid":"a\nb","Effect":"Allow","Action":"*","Resource":"*"}`), "control characters"},
	{"too large", document(`{"Sid":"` + strings.Repeat("x", auth.MaxPolicySize) + `","Effect":"Allow","Action":"*","Resource":"*"}`), "at most 6144"},
	{"not UTF-8", document(`{"Sid":"` + "\xff" + `","Effect":"Allow","Action":"*","Resource":"*"}`), "UTF-8"},
}

func TestParsePolicy(t *testing.T) {
	for _, test := range acceptedPolicies {
		if _, err := auth.ParsePolicy("p", test.document); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for _, test := range refusedPolicies {
		_, err := auth.ParsePolicy("p", test.document)
		if !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, which should say %q", test.name, err, test.says)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, test := range acceptedPolicies {
		f.Add(test.document)
	}
	for _, test := range refusedPolicies {
		f.Add(test.document)
	}
	f.Fuzz(func(t *testing.T, document string) {
		p, err := auth.ParsePolicy("p", document)
		if err != nil {
			if p != nil || !errors.Is(err, auth.ErrPolicyInvalid) {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		for _, repo := range []registry.Name{"", "team/app"} {
			d := auth.Decide(auth.Policies{Identity: []*auth.Policy{p}}, auth.Request{Action: auth.PutImage, Repo: repo})
			if d.Allowed && !d.Explicit || d.Explicit && d.Statement == "" {
				t.Fatalf("%+v", d)
			}
		}
	})
}

// policies parses statements, each its own policy p1, p2, ...
func policies(t *testing.T, statements ...string) []*auth.Policy {
	t.Helper()
	var list []*auth.Policy
	for i, s := range statements {
		p, err := auth.ParsePolicy(fmt.Sprintf("p%d", i+1), document(s))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

const (
	pushTeam   = `{"Sid":"Team","Effect":"Allow","Action":"ecr:Put*","Resource":"arn:aws:ecr:local:000000000000:repository/team/*"}`
	denyProd   = `{"Effect":"Deny","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/*/prod"}`
	allButProd = `{"Effect":"Allow","NotAction":"ecr:Delete*","NotResource":"arn:aws:ecr:*:*:repository/prod/*"}`
	elsewhere  = `{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:eu-west-1:*:repository/*"}`
)

var decisionTests = []struct {
	name       string
	statements []string
	action     auth.Action
	repo       registry.Name
	want       string
}{
	{"no policy", nil, auth.PutImage, "team/app", "no"},
	{"allowed", []string{pushTeam}, auth.PutImage, "team/app", "yes p1 Team"},
	{"other repository", []string{pushTeam}, auth.PutImage, "other/app", "no"},
	{"other action", []string{pushTeam}, auth.BatchGetImage, "team/app", "no"},
	{"prefix is not enough", []string{pushTeam}, auth.PutImage, "team", "no"},
	{"allow all", []string{allowAll}, auth.DeleteRepository, "x", "yes p1 #1"},
	{"deny wins after", []string{allowAll, denyProd}, auth.PutImage, "team/prod", "no p2 #1"},
	{"deny wins before", []string{denyProd, allowAll}, auth.PutImage, "team/prod", "no p1 #1"},
	{"deny is elsewhere", []string{denyProd, allowAll}, auth.PutImage, "team/dev", "yes p2 #1"},
	{"deny in one policy", []string{`[` + allowAll + `,` + denyProd + `]`}, auth.PutImage, "a/prod", "no p1 #2"},
	{"not action", []string{allButProd}, auth.DeleteRepository, "a", "no"},
	{"not action, others", []string{allButProd}, auth.PutImage, "a", "yes p1 #1"},
	{"not resource", []string{allButProd}, auth.PutImage, "prod/a", "no"},
	{"the registry is not a repository", []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:*:*:repository/*"}`}, auth.GetAuthorizationToken, "", "no"},
	{"the registry is everything", []string{allowAll}, auth.GetAuthorizationToken, "", "yes p1 #1"},
	{"the registry is not that resource", []string{allButProd}, auth.GetAuthorizationToken, "", "yes p1 #1"},
	{"other region", []string{elsewhere}, auth.PutImage, "a", "no"},
	{"unknown action", []string{allowAll}, "ecr:Unheard", "a", "no"},
	{"first allow is named", []string{pushTeam, allowAll}, auth.PutImage, "team/app", "yes p1 Team"},
}

func TestDecide(t *testing.T) {
	for _, test := range decisionTests {
		d := auth.Decide(auth.Policies{Identity: policies(t, test.statements...)}, auth.Request{Action: test.action, Repo: test.repo})
		got := "no"
		if d.Allowed {
			got = "yes"
		}
		if d.Explicit {
			got += " " + d.Policy + " " + d.Statement
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestDecideAtLocation(t *testing.T) {
	l := auth.Location{Region: "eu-west-1", Account: "123456789012"}
	if got, want := l.ARN("team/app"), "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"; got != want {
		t.Errorf("ARN is %s", got)
	}
	if !auth.Decide(auth.Policies{Identity: policies(t, elsewhere)}, auth.Request{Action: auth.PutImage, Repo: "a", Location: l}).Allowed {
		t.Error("denied where the policy is for")
	}
}

var managedTests = []struct {
	policy  string
	allows  []auth.Action
	refuses []auth.Action
}{
	{auth.FullAccess, auth.Actions(), nil},
	{auth.PowerUser, []auth.Action{auth.PutImage, auth.UploadLayerPart, auth.BatchGetImage}, []auth.Action{auth.BatchDeleteImage, auth.DeleteRepository, auth.CreateRepository, auth.SetRepositoryPolicy, auth.PutLifecyclePolicy}},
	{auth.ReadOnly, []auth.Action{auth.BatchGetImage, auth.GetDownloadUrlForLayer, auth.ListImages, auth.DescribeImageScanFindings}, []auth.Action{auth.PutImage, auth.InitiateLayerUpload}},
	{auth.PullOnly, []auth.Action{auth.BatchGetImage, auth.GetDownloadUrlForLayer, auth.GetAuthorizationToken}, []auth.Action{auth.ListImages, auth.DescribeRepositories, auth.PutImage}},
}

func TestManaged(t *testing.T) {
	for _, test := range managedTests {
		p, ok := auth.Managed(test.policy)
		if !ok || !slices.Contains(auth.ManagedNames(), test.policy) {
			t.Fatalf("%s is not there", test.policy)
		}
		for _, a := range test.allows {
			if !auth.Decide(auth.Policies{Identity: []*auth.Policy{p}}, auth.Request{Action: a, Repo: "a"}).Allowed {
				t.Errorf("%s refuses %s", test.policy, a)
			}
		}
		for _, a := range test.refuses {
			if auth.Decide(auth.Policies{Identity: []*auth.Policy{p}}, auth.Request{Action: a, Repo: "a"}).Allowed {
				t.Errorf("%s allows %s", test.policy, a)
			}
		}
	}
}

func TestGrantDocument(t *testing.T) {
	l := auth.Location{Region: "r", Account: "123456789012"}
	document, err := auth.GrantDocument(l, []string{"team/*", "base"}, []string{auth.Pull, auth.Push})
	if err != nil {
		t.Fatal(err)
	}
	p, err := auth.ParsePolicy("p", document)
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(a auth.Action, repo registry.Name) bool {
		return auth.Decide(auth.Policies{Identity: []*auth.Policy{p}}, auth.Request{Action: a, Repo: repo, Location: l}).Allowed
	}
	if !allowed(auth.PutImage, "team/app") || !allowed(auth.BatchGetImage, "base") || !allowed(auth.GetAuthorizationToken, "") {
		t.Error("refuses what was granted")
	}
	if allowed(auth.BatchDeleteImage, "team/app") || allowed(auth.PutImage, "other") {
		t.Error("allows what was not granted")
	}
	for _, bad := range []struct{ patterns, verbs []string }{
		{nil, []string{"pull"}},
		{[]string{"a"}, nil},
		{[]string{"a"}, []string{"read"}},
		{[]string{"A"}, []string{"pull"}},
		{[]string{""}, []string{"pull"}},
		{[]string{"${aws:username}"}, []string{"pull"}},
	} {
		if _, err := auth.GrantDocument(l, bad.patterns, bad.verbs); !errors.Is(err, auth.ErrPolicyInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
