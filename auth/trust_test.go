package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/auth"
)

// trustPolicy is a document of statements that say what is given for each member.
func trustPolicy(statements ...string) string {
	return `{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ", ") + `]}`
}

// trusting is a statement that trusts an issuer under conditions.
func trusting(issuer, conditions string) string {
	return fmt.Sprintf(`{"Effect": "Allow", "Principal": {"Federated": %q}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {%s}}`, issuer, conditions)
}

const (
	github    = "https://token.actions.githubusercontent.com"
	ownIssuer = "https://gitlab.example.com"

	ownAud    = `"StringEquals": {"gitlab.example.com:aud": "berth"}`
	githubAud = `"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}`
)

var parseTrustTests = []struct{ name, document, want string }{
	{"an own issuer", trustPolicy(trusting(ownIssuer, ownAud)), ""},
	{"an ARN", trustPolicy(trusting("arn:aws:iam::123456789012:oidc-provider/gitlab.example.com", ownAud)), ""},
	{"a path and a port", trustPolicy(trusting("https://oidc.example.com:8443/id/ab12", `"StringLike": {"oidc.example.com:8443/id/ab12:AUD": ["x", "y*"]}`)), ""},
	{"an action with wildcards", strings.Replace(trustPolicy(trusting(ownIssuer, ownAud)), "AssumeRoleWithWebIdentity", "AssumeRole*", 1), ""},
	{"a Deny without conditions", trustPolicy(trusting(ownIssuer, ownAud), `{"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}`), ""},
	{"GitHub with a repository", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/app:*"}`)), ""},
	{"GitHub with an owner", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/*"}`)), ""},
	{"GitHub with another claim", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:repository": "acme/*"}`)), ""},

	{"nothing", ``, "ends too early"},
	{"another service", trustPolicy(strings.Replace(trusting(ownIssuer, ownAud), "sts:AssumeRoleWithWebIdentity", "sts:AssumeRole", 1)), `the action "sts:AssumeRole" is not known here`},
	{"an account", trustPolicy(`{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}`), "names no identity provider"},
	{"everybody", trustPolicy(`{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity"}`), "only a Deny may name"},
	{"a resource", trustPolicy(`{"Effect": "Allow", "Principal": {"Federated": "https://x.org"}, "Action": "*", "Resource": "*"}`), `"Resource" is not known`},
	{"nothing allowed", trustPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "sts:*"}`), "no statement allows anybody"},
	{"an issuer without a scheme", trustPolicy(trusting("gitlab.example.com", ownAud)), "is no URL"},
	{"an issuer with a query", trustPolicy(trusting(ownIssuer+"?x=y", ownAud)), "more than host and path"},
	{"an issuer with a password", trustPolicy(trusting("https://a:b@gitlab.example.com", ownAud)), "more than host and path"},
	{"a SAML provider", trustPolicy(trusting("arn:aws:iam::123456789012:saml-provider/x", ownAud)), "not one of OpenID Connect"},
	{"no condition", trustPolicy(trusting(ownIssuer, "")), "a condition on gitlab.example.com:aud is needed"},
	{"aud of another issuer", trustPolicy(trusting(ownIssuer, `"StringEquals": {"gitlab.com:aud": "berth"}`)), "a condition on gitlab.example.com:aud is needed"},
	{"aud for one of two", trustPolicy(strings.Replace(trusting(ownIssuer, ownAud), `"`+ownIssuer+`"`, `["`+ownIssuer+`", "https://b.example.com"]`, 1)), "a condition on b.example.com:aud is needed"},
	{"any aud", trustPolicy(trusting(ownIssuer, `"StringLike": {"gitlab.example.com:aud": "*"}`)), "aud is needed"},
	{"any aud of two", trustPolicy(trusting(ownIssuer, `"StringLike": {"gitlab.example.com:aud": ["berth", "*x"]}`)), "aud is needed"},
	{"an empty aud", trustPolicy(trusting(ownIssuer, `"StringEquals": {"gitlab.example.com:aud": ""}`)), "aud is needed"},
	{"aud if there is one", trustPolicy(trusting(ownIssuer, `"StringEqualsIfExists": {"gitlab.example.com:aud": "berth"}`)), "aud is needed"},
	{"all of no aud", trustPolicy(trusting(ownIssuer, `"ForAllValues:StringEquals": {"gitlab.example.com:aud": "berth"}`)), "aud is needed"},
	{"another aud", trustPolicy(trusting(ownIssuer, `"StringNotEquals": {"gitlab.example.com:aud": "other"}`)), "aud is needed"},
	{"that there is an aud", trustPolicy(trusting(ownIssuer, `"Null": {"gitlab.example.com:aud": "false"}`)), "aud is needed"},
	{"aud as a variable", trustPolicy(trusting(ownIssuer, `"StringEquals": {"gitlab.example.com:aud": "${gitlab.example.com:aud}"}`)), "aud is needed"},
	{"all of GitHub", trustPolicy(trusting(github, githubAud)), "anybody can get tokens from"},
	{"a repository of GitHub", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:repository": "acme/app"}`)), ""},
	{"an owner at GitHub", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:repository_owner_id": "4711"}`)), ""},
	{"any branch main of GitHub", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:ref": "refs/heads/main"}`)), "anybody can get tokens from"},
	{"any branch of GitHub", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:ref": "refs/heads/*"}`)), "anybody can get tokens from"},
	{"any push at GitHub", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:event_name": "push"}`)), "anybody can get tokens from"},
	{"GitHub itself", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:iss": "https://token.actions.githubusercontent.com"}`)), "anybody can get tokens from"},
	{"any sub of GitHub", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:sub": "*"}`)), "anybody can get tokens from"},
	{"any owner at GitHub", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:sub": "repo:*"}`)), "The name of the owner must stand"},
	{"owners that begin alike", trustPolicy(trusting(github, githubAud+`, "StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme*"}`)), "The name of the owner must stand"},
	{"a branch of anybody", trustPolicy(trusting(github, githubAud+`, "StringEqualsIfExists": {"token.actions.githubusercontent.com:repository": "acme/app"}`)), "anybody can get tokens from"},
	{"too much", trustPolicy(trusting(ownIssuer, `"StringEquals": {"gitlab.example.com:aud": "`+strings.Repeat("x", auth.MaxPolicySize)+`"}`)), "characters besides white space"},
}

func TestParseTrust(t *testing.T) {
	for _, test := range parseTrustTests {
		_, err := auth.ParseTrust(test.document)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestTrustDocument(t *testing.T) {
	document, err := auth.TrustDocument(github, []string{"sts.amazonaws.com"}, []string{"repo:acme/app:*", "repo:acme/lib:ref:refs/heads/main"})
	must(t, err)
	parsed, err := auth.ParseTrust(document)
	must(t, err)
	if got := parsed.Issuers(); !slices.Equal(got, []string{github}) {
		t.Errorf("it trusts %q", got)
	}
	for sub, want := range map[string]bool{
		"repo:acme/app:pull_request": true, "repo:acme/lib:ref:refs/heads/main": true,
		"repo:acme/lib:ref:refs/heads/other": false, "repo:evil/app:ref": false,
	} {
		who := auth.WebIdentity{Issuer: github, Claims: map[string][]string{"aud": {"sts.amazonaws.com"}, "sub": {sub}}}
		if d := parsed.Decide(who, "run", auth.Context{}); d.Allowed != want {
			t.Errorf("%s: %+v", sub, d)
		}
	}
	for _, c := range []struct {
		issuer, audience, subject, want string
	}{
		{github, "x", "", "sub, or another claim"},
		{ownIssuer, "", "x", "aud is needed"},
		{"gitlab", "x", "x", "is no URL"},
		{ownIssuer, "${aws:username}", "x", "looks like a variable"},
	} {
		var subjects, audiences []string
		if c.subject != "" {
			subjects = []string{c.subject}
		}
		if c.audience != "" {
			audiences = []string{c.audience}
		}
		if _, err := auth.TrustDocument(c.issuer, audiences, subjects); !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestTrustDecides(t *testing.T) {
	deny := func(conditions string) string {
		return strings.Replace(trusting(ownIssuer, conditions), "Allow", "Deny", 1)
	}
	type claims = map[string][]string
	for _, test := range []struct {
		name       string
		statements []string
		issuer     string
		claims     claims
		want       bool
	}{
		{"the audience", []string{trusting(ownIssuer, ownAud)}, ownIssuer, claims{"aud": {"berth"}}, true},
		{"one of its audiences", []string{trusting(ownIssuer, ownAud)}, ownIssuer, claims{"aud": {"other", "berth"}}, true},
		{"another audience", []string{trusting(ownIssuer, ownAud)}, ownIssuer, claims{"aud": {"Berth"}}, false},
		{"no audience", []string{trusting(ownIssuer, ownAud)}, ownIssuer, claims{"sub": {"berth"}}, false},
		{"another issuer", []string{trusting(ownIssuer, ownAud)}, ownIssuer + "/x", claims{"aud": {"berth"}}, false},
		{"the same host without TLS", []string{trusting(ownIssuer, ownAud)}, "http://gitlab.example.com", claims{"aud": {"berth"}}, false},
		{"a name in other case", []string{trusting(ownIssuer, `"StringEquals": {"GitLab.example.com:AUD": "berth"}`)}, ownIssuer, claims{"aud": {"berth"}}, true},
		{"a name that differs in case, beside it", []string{trusting(ownIssuer, ownAud)}, ownIssuer, claims{"aud": {"other"}, "AUD": {"berth"}, "Aud": {"berth"}}, false},
		{"a name like that of another port", []string{trusting("https://h.example.com", `"StringEquals": {"h.example.com:8443:aud": "berth", "h.example.com:aud": "a"}`)}, "https://h.example.com", claims{"8443:aud": {"berth"}, "aud": {"a"}}, false},
		{"further conditions", []string{trusting(ownIssuer, ownAud+`, "StringLike": {"gitlab.example.com:sub": "project_path:team/*:ref_type:branch:ref:main"}`)}, ownIssuer, claims{"aud": {"berth"}, "sub": {"project_path:team/app:ref_type:branch:ref:main"}}, true},
		{"a further condition that is not met", []string{trusting(ownIssuer, ownAud+`, "Bool": {"gitlab.example.com:ref_protected": "true"}`)}, ownIssuer, claims{"aud": {"berth"}, "ref_protected": {"false"}}, false},
		{"a list", []string{trusting(ownIssuer, ownAud+`, "ForAllValues:StringEquals": {"gitlab.example.com:groups": ["a", "b"]}`)}, ownIssuer, claims{"aud": {"berth"}, "groups": {"b", "a"}}, true},
		{"a list with more", []string{trusting(ownIssuer, ownAud+`, "ForAllValues:StringEquals": {"gitlab.example.com:groups": ["a", "b"]}`)}, ownIssuer, claims{"aud": {"berth"}, "groups": {"b", "c"}}, false},
		{"one of a list", []string{trusting(ownIssuer, ownAud+`, "ForAnyValue:StringLike": {"gitlab.example.com:groups": "a*"}`)}, ownIssuer, claims{"aud": {"berth"}, "groups": {"b", "ab"}}, true},
		{"none of a list", []string{trusting(ownIssuer, ownAud+`, "ForAnyValue:StringLike": {"gitlab.example.com:groups": "a*"}`)}, ownIssuer, claims{"aud": {"berth"}, "groups": {"b"}}, false},
		{"a list that has what is denied", []string{trusting(ownIssuer, ownAud), deny(`"StringEquals": {"gitlab.example.com:groups": "bad"}`)}, ownIssuer, claims{"aud": {"berth"}, "groups": {"good", "bad"}}, false},
		{"a list that lacks what is denied", []string{trusting(ownIssuer, ownAud), deny(`"StringEquals": {"gitlab.example.com:groups": "bad"}`)}, ownIssuer, claims{"aud": {"berth"}, "groups": {"good"}}, true},
		{"a list that is not without", []string{trusting(ownIssuer, ownAud+`, "StringNotEquals": {"gitlab.example.com:groups": "bad"}`)}, ownIssuer, claims{"aud": {"berth"}, "groups": {"good", "bad"}}, false},
		{"the second statement", []string{trusting("https://b.example.com", `"StringEquals": {"b.example.com:aud": "x"}`), trusting(ownIssuer, ownAud)}, ownIssuer, claims{"aud": {"berth"}}, true},
		{"denied before", []string{deny(`"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}`), trusting(ownIssuer, ownAud)}, ownIssuer, claims{"aud": {"berth"}}, false},
		{"the name of the session", []string{trusting(ownIssuer, ownAud+`, "StringLike": {"sts:RoleSessionName": "${gitlab.example.com:user}"}`)}, ownIssuer, claims{"aud": {"berth"}, "user": {"run-17"}}, true},
		{"another name of the session", []string{trusting(ownIssuer, ownAud+`, "StringLike": {"sts:RoleSessionName": "${gitlab.example.com:user}"}`)}, ownIssuer, claims{"aud": {"berth"}, "user": {"run"}}, false},
		{"a session that passes for one", []string{trusting(ownIssuer, ownAud+`, "StringLike": {"sts:RoleSessionName": "x"}`)}, ownIssuer, claims{"aud": {"berth"}, "rolesessionname": {"x"}}, false},
	} {
		parsed, err := auth.ParseTrust(trustPolicy(test.statements...))
		must(t, err)
		about := auth.Context{SourceIP: netip.MustParseAddr("203.0.113.9"), Time: time.Unix(1e9, 0)}
		if d := parsed.Decide(auth.WebIdentity{Issuer: test.issuer, Claims: test.claims}, "run-17", about); d.Allowed != test.want {
			t.Errorf("%s: %+v", test.name, d)
		}
	}
}

func TestRoles(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	roles := auth.NewRoles(w.access)
	_, err := w.manager.CreateRole(ctx, "build", trustPolicy(trusting(ownIssuer, ownAud)), auth.PowerUser)
	must(t, err)
	w.user(t, "ann")
	ann := auth.WebIdentity{Issuer: ownIssuer, Subject: "x", Claims: map[string][]string{"aud": {"berth"}}}
	assume := func(role, session string, who auth.WebIdentity) (auth.Principal, error) {
		return roles.Assume(ctx, auth.Assumption{Role: role, Session: session, Who: who})
	}
	p, err := assume("build", "run-17", ann)
	must(t, err)
	if p.ARN(auth.Location{}) != "arn:aws:sts::000000000000:assumed-role/build/run-17" {
		t.Errorf("it is %s", p.ARN(auth.Location{}))
	}
	may := func() error {
		return w.access.Authorize(auth.WithPrincipal(ctx, p), auth.PutImage, "team/app")
	}
	must(t, may())
	trusts := func(issuer string, want bool) {
		t.Helper()
		got, err := roles.Trusts(ctx, issuer)
		must(t, err)
		if got != want {
			t.Errorf("Trusts(%s) = %t", issuer, got)
		}
	}
	trusts(ownIssuer, true)
	trusts(ownIssuer+"/", false)
	trusts("", false)

	other := ann
	other.Claims = map[string][]string{"aud": {"other"}}
	for _, c := range []struct {
		role, session string
		who           auth.WebIdentity
	}{{"build", "run-17", other}, {"nobody", "run-17", ann}, {"ann", "run-17", ann}, {"", "run-17", ann}, {"build", "run 17", ann}, {"build", "r", ann}, {"build", "", ann}} {
		if p, err := assume(c.role, c.session, c.who); !errors.Is(err, auth.ErrRoleRefused) || !p.IsAnonymous() {
			t.Errorf("%+v: %s, %v", c, p, err)
		}
	}

	// Nobody logs in as a role, and what is for users is not for roles.
	for _, password := range []string{"", "$none$", "build"} {
		if p, err := auth.NewLogin(w.access).Check(ctx, "build", password, "203.0.113.9"); err == nil {
			t.Errorf("logged in as %s", p)
		}
	}
	if err := w.manager.SetPassword(ctx, "build", "correct horse"); !errors.Is(err, auth.ErrAccountInvalid) {
		t.Errorf("SetPassword: %v", err)
	}
	if _, err := w.manager.ResetSecret(ctx, "build"); !errors.Is(err, auth.ErrAccountInvalid) {
		t.Errorf("ResetSecret: %v", err)
	}
	if err := w.manager.SetTrust(ctx, "ann", trustPolicy(trusting(ownIssuer, ownAud))); !errors.Is(err, auth.ErrAccountInvalid) {
		t.Errorf("SetTrust of a user: %v", err)
	}
	if err := w.manager.SetTrust(ctx, "build", "{}"); !errors.Is(err, auth.ErrPolicyInvalid) {
		t.Errorf("SetTrust of nothing: %v", err)
	}

	// Another trust holds at once for who comes, and the sessions that there are go on.
	must(t, w.manager.SetTrust(ctx, "build", trustPolicy(trusting("https://b.example.com", `"StringEquals": {"b.example.com:aud": "x"}`))))
	if _, err := assume("build", "run-17", ann); !errors.Is(err, auth.ErrRoleRefused) {
		t.Errorf("after SetTrust: %v", err)
	}
	trusts(ownIssuer, false)
	trusts("https://b.example.com", true)
	must(t, may())

	// A role that is disabled, or deleted and made again, ends them.
	must(t, w.manager.SetDisabled(ctx, "build", true))
	trusts("https://b.example.com", false)
	if may() == nil {
		t.Error("the session of a disabled role goes on")
	}
	must(t, w.manager.SetDisabled(ctx, "build", false))
	must(t, may())
	must(t, w.manager.DeleteAccount(ctx, "build"))
	_, err = w.manager.CreateRole(ctx, "build", trustPolicy(trusting(ownIssuer, ownAud)), auth.PowerUser)
	must(t, err)
	if may() == nil {
		t.Error("the session goes on with a role made anew")
	}
}

func TestRoleName(t *testing.T) {
	here := auth.Location{Account: "123456789012"}
	for arn, want := range map[string]string{
		"arn:aws:iam::123456789012:role/build":       "build",
		"arn:aws:iam::123456789012:role/ci/build":    "ci/build",
		"arn:aws:iam::000000000000:role/build":       "/000000000000/build",
		"arn:aws-cn:iam::123456789012:role/build":    "/123456789012/build",
		"arn:aws:iam::123456789012:user/build":       "",
		"arn:aws:iam::123456789012:role/":            "",
		"arn:aws:iam::1234:role/build":               "",
		"arn:aws:sts::123456789012:assumed-role/a/b": "",
		"build": "", "": "",
	} {
		if got, ok := here.RoleName(arn); got != want || ok != (want != "") {
			t.Errorf("RoleName(%s) = %s, %t", arn, got, ok)
		}
	}
}

func TestSessionName(t *testing.T) {
	for from, want := range map[string]string{
		"repo:acme/app:ref:refs/heads/main": "repo-acme-app-ref-refs-heads-main",
		"":                                  "--", "a": "a--", "ü€": "--", "a_b+c=d,e.f@g-h": "a_b+c=d,e.f@g-h",
		strings.Repeat("x", 100): strings.Repeat("x", 64),
	} {
		if got := auth.SessionName(from); got != want || !auth.IsSessionName(got) {
			t.Errorf("SessionName(%q) = %q", from, got)
		}
	}
}
