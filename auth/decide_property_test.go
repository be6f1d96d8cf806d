package auth_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"berth/auth"
	"berth/registry"
)

// Words that requests and policies are made of: few, so that they meet.
var (
	drawActions   = rapid.SampledFrom([]auth.Action{auth.PutImage, auth.BatchGetImage, auth.DeleteRepository})
	drawRepos     = rapid.SampledFrom([]registry.Name{"", "app", "team/app", "team/web", "blue/ann"})
	drawAddresses = rapid.SampledFrom([]string{"", "10.1.2.3", "203.0.113.7", "2001:db8::7"})
	drawTagValues = rapid.SampledFrom([]string{"blue", "red", "ann", "7", "12.5", "2026", "true", "", "b*", "10.1.2.3"})
	drawTags      = rapid.MapOfN(rapid.SampledFrom([]string{"team", "Owner", "level"}), drawTagValues, 0, 3)

	drawPrincipals = rapid.SampledFrom([]auth.Principal{
		auth.Nobody, ann, robot, session, foreign, away, {Name: "team", Kind: auth.User},
	})
)

// put adds what there is under a key.
func put(context map[string][]string, key string, values ...string) {
	context[strings.ToLower(key)] = values
}

// drawRequest makes a request, for Decide and for the oracle, each in its own words.
func drawRequest(t *rapid.T) (auth.Request, *oracle) {
	r := auth.Request{
		Action: drawActions.Draw(t, "action"), Repo: drawRepos.Draw(t, "repo"), Principal: drawPrincipals.Draw(t, "principal"),
		Context: auth.Context{
			Secure:        rapid.Bool().Draw(t, "secure"),
			Time:          time.Unix(rapid.Int64Range(1700000000, 1700000003).Draw(t, "time"), 5),
			PrincipalTags: drawTags.Draw(t, "principalTags"), ResourceTags: drawTags.Draw(t, "resourceTags"),
		},
	}
	r.Context.Tags = drawTags.Draw(t, "requestTags")
	o := &oracle{t: t, action: string(r.Action), resource: "*", home: "000000000000", context: map[string][]string{}}
	if r.Repo != "" {
		o.resource = "arn:aws:ecr:local:000000000000:repository/" + string(r.Repo)
	}
	if a := drawAddresses.Draw(t, "address"); a != "" {
		r.Context.SourceIP = netip.MustParseAddr(a)
		put(o.context, "aws:SourceIp", a)
	}
	describePrincipal(o, r.Principal)
	for k, v := range r.Context.PrincipalTags {
		put(o.context, "aws:PrincipalTag/"+k, v)
	}
	for k, v := range r.Principal.Tags {
		put(o.context, "aws:PrincipalTag/"+k, v)
	}
	for k, v := range r.Context.ResourceTags {
		put(o.context, "aws:ResourceTag/"+k, v)
		put(o.context, "ecr:ResourceTag/"+k, v)
	}
	var keys []string
	for k, v := range r.Context.Tags {
		put(o.context, "aws:RequestTag/"+k, v)
		keys = append(keys, k)
	}
	if len(keys) > 0 {
		put(o.context, "aws:TagKeys", keys...)
	}
	put(o.context, "aws:SecureTransport", strconv.FormatBool(r.Context.Secure))
	put(o.context, "aws:CurrentTime", r.Context.Time.UTC().Format(time.RFC3339))
	put(o.context, "aws:EpochTime", strconv.FormatInt(r.Context.Time.Unix(), 10))
	return r, o
}

// describePrincipal is https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable.
func describePrincipal(o *oracle, p auth.Principal) {
	o.account = p.Account
	switch {
	case p.Name == "":
		put(o.context, "aws:PrincipalAccount", "anonymous")
		put(o.context, "aws:PrincipalType", "Anonymous")
		put(o.context, "aws:userid", "anonymous")
		return
	case o.account == "":
		o.account = o.home
	}
	put(o.context, "aws:PrincipalAccount", o.account)
	if p.Kind == auth.Role {
		role := "arn:aws:iam::" + o.account + ":role/" + p.Name
		o.names = []string{role, "arn:aws:sts::" + o.account + ":assumed-role/" + p.Name + "/" + p.Session}
		put(o.context, "aws:PrincipalArn", role)
		put(o.context, "aws:PrincipalType", "AssumedRole")
		put(o.context, "aws:userid", p.Name+":"+p.Session)
		return
	}
	o.names = []string{"arn:aws:iam::" + o.account + ":user/" + p.Name}
	put(o.context, "aws:PrincipalArn", o.names[0])
	put(o.context, "aws:PrincipalType", "User")
	put(o.context, "aws:userid", p.Name)
	put(o.context, "aws:username", p.Name)
}

// several draws one of values or a list of them.
func several(t *rapid.T, label string, values *rapid.Generator[string]) any {
	if rapid.Bool().Draw(t, label+" alone") {
		return values.Draw(t, label)
	}
	return rapid.SliceOfN(values, 1, 3).Draw(t, label)
}

var (
	drawPatterns = rapid.SampledFrom([]string{"*", "ecr:*", "ecr:PutImage", "ecr:putimage", "ecr:Batch*", "ecr:?utImage", "ecr:Delete*"})

	drawResources = rapid.SampledFrom([]string{
		"*", "arn:aws:ecr:*:*:repository/*", "arn:aws:ecr:local:000000000000:repository/team/*", "arn:aws:ecr:*:0*:repository/??am/app",
		"arn:aws:ecr:eu-west-1:*:repository/*", "arn:aws:ecr:*:*:repository/app", "arn:aws:ecr:*:*:repository/team/app",
	})
	drawResourcesWithVariables = rapid.OneOf(drawResources, rapid.SampledFrom([]string{
		"arn:aws:ecr:*:*:repository/${aws:username}/*", "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team, 'blue'}/*",
		"arn:aws:ecr:*:*:repository/*/${aws:username}", "arn:aws:ecr:*:*:repository/${aws:ResourceTag/TEAM}*",
	}))

	drawNamed = rapid.SampledFrom([]string{
		"*", "000000000000", "444455556666", "arn:aws:iam::000000000000:root", "arn:aws:iam::444455556666:root",
		"arn:aws:iam::000000000000:user/ann", "arn:aws:iam::444455556666:user/ann", "arn:aws:iam::000000000000:user/deploy",
		"arn:aws:iam::000000000000:role/build", "arn:aws:sts::000000000000:assumed-role/build/run-17",
		"arn:aws:sts::444455556666:assumed-role/build/run-18", "arn:aws:iam::000000000000:user/bob",
	})

	drawKeys = rapid.SampledFrom([]string{
		"aws:SourceIp", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType", "aws:principaltag/TEAM", "aws:PrincipalTag/level",
		"aws:ResourceTag/team", "ecr:ResourceTag/owner", "aws:RequestTag/team", "AWS:TagKeys", "aws:CurrentTime", "aws:EpochTime",
		"aws:SecureTransport", "aws:username", "aws:UserId", "aws:PrincipalOrgID",
	})

	drawStrings = rapid.SampledFrom([]string{
		"blue", "red", "*", "b*", "?ed", "ann", "team", "level", "anonymous", "User", "Anonymous", "7", "true", "",
		"${aws:username}", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/level, 'blue'}", "${aws:ResourceTag/owner}*", "b${*}", "${?}",
		"arn:aws:iam::*:user/*", "arn:aws:iam::000000000000:role/build", "10.1.2.3", "000000000000",
	})
	drawARNs = rapid.SampledFrom([]string{
		"*", "arn:aws:iam::*:user/*", "arn:aws:iam::000000000000:user/ann", "arn:*:iam::444455556666:*", "arn:aws:iam::*:role/b??ld",
		"arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::*:user/${aws:PrincipalTag/owner}",
	})
	drawValues = map[string]*rapid.Generator[string]{
		"String":  drawStrings,
		"Arn":     drawARNs,
		"Ip":      rapid.SampledFrom([]string{"10.0.0.0/8", "10.1.2.3", "203.0.113.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0"}),
		"Date":    rapid.SampledFrom([]string{"2026", "1700000001", "2023-11-14T22:13:22Z", "2023-11-14T23:13:21+01:00", "2026-01-01", "2000-01-01"}),
		"Numeric": rapid.SampledFrom([]string{"7", "7.0", "12.5", "1700000001", "-1", "2026"}),
		"Bool":    rapid.SampledFrom([]string{"true", "false"}),
	}
	drawOperators = rapid.SampledFrom([]string{
		"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
		"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "IpAddress", "NotIpAddress", "DateEquals", "DateNotEquals",
		"DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "Bool", "Null",
		"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
	})
)

func drawCondition(t *rapid.T) map[string]map[string]any {
	conditions := map[string]map[string]any{}
	for range rapid.IntRange(0, 2).Draw(t, "operators") {
		operator, key := drawOperators.Draw(t, "operator"), drawKeys.Draw(t, "key")
		values := drawValues["Bool"]
		for family, v := range drawValues {
			if strings.HasPrefix(strings.TrimPrefix(operator, "Not"), family) {
				values = v
			}
		}
		if operator != "Null" {
			over := []string{"", "", "ForAllValues:", "ForAnyValue:"}
			if key == "AWS:TagKeys" {
				over = over[2:]
			}
			operator = rapid.SampledFrom(over).Draw(t, "over") + operator
			operator += rapid.SampledFrom([]string{"", "", "IfExists"}).Draw(t, "if exists")
		}
		if conditions[operator] == nil {
			conditions[operator] = map[string]any{}
		}
		conditions[operator][key] = several(t, "values", values)
	}
	return conditions
}

// drawPolicy makes a policy, or none.
func drawPolicy(t *rapid.T, ofResource bool) string {
	version := rapid.SampledFrom([]string{"2012-10-17", "2012-10-17", "2008-10-17"}).Draw(t, "version")
	var statements []any
	for range rapid.IntRange(0, 3).Draw(t, "statements") {
		s := map[string]any{"Effect": rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect")}
		not := func(name string) string {
			return rapid.SampledFrom([]string{"", "", "Not"}).Draw(t, "not "+name) + name
		}
		s[not("Action")] = several(t, "action", drawPatterns)
		resources := drawResources
		if version == "2012-10-17" {
			resources = drawResourcesWithVariables
		}
		if !ofResource || rapid.Bool().Draw(t, "has a resource") {
			s[not("Resource")] = several(t, "resource", resources)
		}
		if ofResource {
			s[not("Principal")] = rapid.SampledFrom([]any{
				"*",
				map[string]any{"AWS": several(t, "named", drawNamed)},
				map[string]any{"AWS": several(t, "named", drawNamed)},
				map[string]any{"Service": "codebuild.amazonaws.com"},
			}).Draw(t, "principal")
		}
		if c := drawCondition(t); len(c) > 0 {
			s["Condition"] = c
		}
		statements = append(statements, s)
	}
	if len(statements) == 0 {
		return ""
	}
	b, err := json.Marshal(map[string]any{"Version": version, "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDecideIsTheSlowOne compares Decide with an evaluator that was written by itself
// from IAM's documentation.
func TestDecideIsTheSlowOne(t *testing.T) {
	met := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		var p auth.Policies
		var identity []string
		for i := range rapid.IntRange(0, 2).Draw(t, "identity policies") {
			if d := drawPolicy(t, false); d != "" {
				parsed, err := auth.ParsePolicy(fmt.Sprintf("p%d", i), d)
				must(t, err)
				p.Identity, identity = append(p.Identity, parsed), append(identity, d)
			}
		}
		resource := [2]string{drawPolicy(t, true), drawPolicy(t, true)}
		for i, parse := range []func(string) (*auth.Policy, error){auth.ParseRegistryPolicy, auth.ParseRepositoryPolicy} {
			if resource[i] == "" {
				continue
			}
			parsed, err := parse(resource[i])
			must(t, err)
			if i == 0 {
				p.Registry = parsed
			} else {
				p.Repository = parsed
			}
		}
		for range 8 {
			r, o := drawRequest(t)
			got, want := auth.Decide(p, r), o.decide(identity, resource[:]...)
			if got.Allowed != want {
				t.Fatalf("%+v, want %v\n%q\n%q\n%v", got, want, identity, resource, o.context)
			}
			met[fmt.Sprint(got.Kind, got.Allowed)]++
		}
	})
	t.Log(met)
	if testing.Short() {
		return // a fifth of the draws, too few to meet the rare kinds for sure
	}
	for _, kind := range []string{"identitytrue", "identityfalse", "registrytrue", "registryfalse", "repositorytrue", "repositoryfalse", "false"} {
		if met[kind] == 0 && !t.Failed() {
			t.Errorf("no decision was %s: the test looks at too little", kind)
		}
	}
}
