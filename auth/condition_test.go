package auth_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth/auth"
)

// asked is the request that conditions are put to.
func asked() auth.Request {
	return auth.Request{
		Action:    auth.PutImage,
		Repo:      "team/app",
		Principal: auth.Principal{Name: "ann", Kind: auth.User},
		Context: auth.Context{
			SourceIP:      netip.MustParseAddr("203.0.113.7"),
			Secure:        true,
			Time:          time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC),
			PrincipalTags: map[string]string{"Team": "blue", "level": "7", "since": "2020-02-02", "home": "10.1.2.3", "star": "b*", "none": ""},
			ResourceTags:  map[string]string{"team": "blue", "Owner": "ann", "Größe": "größer"},
			Parameters: auth.Parameters{
				Tags:           map[string]string{"env": "prod", "cost": "12"},
				Untagged:       []string{"old"},
				AccountSetting: "BLOB_MOUNTING",
			},
		},
	}
}

// session is who has assumed a role.
var session = auth.Principal{Name: "build", Kind: auth.Role, Session: "run-17", Tags: map[string]string{"team": "red"}}

func as(p auth.Principal) func(*auth.Request) { return func(r *auth.Request) { r.Principal = p } }

func bare(r *auth.Request) { r.Principal, r.Context = auth.Nobody, auth.Context{} }

var conditionTests = []struct {
	condition string
	change    func(*auth.Request) // to the request asked
	want      bool
}{
	{`{}`, nil, true},
	{`{"StringEquals":{}}`, nil, true},

	// Strings.
	{`{"StringEquals":{"aws:username":"ann"}}`, nil, true},
	{`{"StringEquals":{"aws:username":"Ann"}}`, nil, false},
	{`{"StringEquals":{"AWS:UserName":["bob","ann"]}}`, nil, true},
	{`{"stringequals":{"aws:username":"ann"}}`, nil, true},
	{`{"StringEquals":{"aws:username":"a*"}}`, nil, false},
	{`{"StringEquals":{"aws:username":""}}`, nil, false},
	{`{"StringNotEquals":{"aws:username":["bob","ann"]}}`, nil, false},
	{`{"StringNotEquals":{"aws:username":["bob","eve"]}}`, nil, true},
	{`{"StringEqualsIgnoreCase":{"aws:username":"ANN"}}`, nil, true},
	{`{"StringEqualsIgnoreCase":{"aws:ResourceTag/größe":"GRÖSSER"}}`, nil, false},
	{`{"StringEqualsIgnoreCase":{"aws:ResourceTag/größe":"GRÖßER"}}`, nil, true},
	{`{"StringNotEqualsIgnoreCase":{"aws:username":"ANN"}}`, nil, false},
	{`{"StringLike":{"aws:username":"?n*"}}`, nil, true},
	{`{"StringLike":{"aws:username":["b*","a?"]}}`, nil, false},
	{`{"StringLike":{"aws:ResourceTag/Größe":"gr??er"}}`, nil, true},
	{`{"StringLike":{"aws:ResourceTag/Größe":"gr???er"}}`, nil, false},
	{`{"StringNotLike":{"aws:username":"b*"}}`, nil, true},
	{`{"StringEquals":{"aws:ResourceTag/team":"blue","aws:username":"ann"}}`, nil, true},
	{`{"StringEquals":{"aws:ResourceTag/team":"blue","aws:username":"bob"}}`, nil, false},
	{`{"StringEquals":{"aws:ResourceTag/team":"blue"},"StringLike":{"aws:username":"b*"}}`, nil, false},

	// Keys.
	{`{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::000000000000:user/ann"}}`, nil, true},
	{`{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::000000000000:role/build"}}`, as(session), true},
	{`{"Null":{"aws:PrincipalArn":"true"}}`, bare, true},
	{`{"StringEquals":{"aws:PrincipalAccount":"000000000000"}}`, nil, true},
	{`{"StringEquals":{"aws:PrincipalAccount":"anonymous"}}`, bare, true},
	{`{"StringEquals":{"aws:PrincipalType":"User"}}`, nil, true},
	{`{"StringEquals":{"aws:PrincipalType":"AssumedRole"}}`, as(session), true},
	{`{"StringEquals":{"aws:PrincipalType":"Anonymous"}}`, bare, true},
	{`{"Null":{"aws:username":"true"}}`, as(session), true},
	{`{"StringEquals":{"aws:userid":"build:run-17"}}`, as(session), true},
	{`{"StringEquals":{"aws:PrincipalTag/TEAM":"blue"}}`, nil, true},
	{`{"StringEquals":{"aws:PrincipalTag/Team":"red"}}`, as(session), true},
	{`{"StringEquals":{"aws:PrincipalTag/level":"7"}}`, as(session), true},
	{`{"StringEquals":{"ecr:ResourceTag/owner":"ann"}}`, nil, true},
	{`{"StringEquals":{"aws:RequestTag/env":"prod"}}`, nil, true},
	{`{"Null":{"aws:RequestTag/old":"true"}}`, nil, true},
	{`{"StringEquals":{"ecr:AccountSetting":"BLOB_MOUNTING"}}`, nil, true},
	{`{"StringEquals":{"aws:SourceIp":"203.0.113.7"}}`, nil, true},
	{`{"StringLike":{"aws:CurrentTime":"2026-03-04T*"}}`, nil, true},
	{`{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`, nil, false},
	{`{"Null":{"aws:SourceVpce":"true","token.actions.githubusercontent.com:sub":true}}`, nil, true},

	// ARNs.
	{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::000000000000:user/ann"}}`, nil, true},
	{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:user/a*"}}`, nil, true},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:*:iam:*:0000*:user/?nn"}}`, nil, true},
	{`{"ArnLike":{"aws:PrincipalArn":"*"}}`, nil, true},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:*:*:*:ann"}}`, nil, false},
	{`{"ArnLike":{"aws:username":"*"}}`, nil, false},
	{`{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::000000000000:user/ann"}}`, nil, false},
	{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}`, nil, true},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}`, as(session), true},

	// Addresses.
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, nil, true},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.200/24"}}`, nil, true},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.7"}}`, nil, true},
	{`{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::/0"]}}`, nil, false},
	{`{"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8"]}}`, nil, true},
	{`{"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24"]}}`, nil, false},
	{`{"IpAddress":{"aws:SourceIp":"2001:db8::/32"}}`, func(r *auth.Request) { r.Context.SourceIP = netip.MustParseAddr("2001:db8::1") }, true},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, func(r *auth.Request) { r.Context.SourceIP = netip.MustParseAddr("::ffff:203.0.113.7") }, true},
	{`{"IpAddress":{"aws:PrincipalTag/home":"10.0.0.0/8"}}`, nil, true},
	{`{"IpAddress":{"aws:username":"0.0.0.0/0"}}`, nil, false},
	{`{"NotIpAddress":{"aws:username":"0.0.0.0/0"}}`, nil, true},

	// Times.
	{`{"DateLessThan":{"aws:CurrentTime":"2026-03-04T05:06:08Z"}}`, nil, true},
	{`{"DateLessThan":{"aws:CurrentTime":"2026-03-04T05:06:07Z"}}`, nil, false},
	{`{"DateLessThanEquals":{"aws:CurrentTime":"2026-03-04T05:06:07Z"}}`, nil, true},
	{`{"DateGreaterThan":{"aws:CurrentTime":"2026-03-04T05:06:07Z"}}`, nil, false},
	{`{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-03-04T06:06:07+01:00"}}`, nil, true},
	{`{"DateEquals":{"aws:CurrentTime":"2026-03-04T05:06:07Z"}}`, nil, true},
	{`{"DateNotEquals":{"aws:CurrentTime":"2026-03-04T05:06:07Z"}}`, nil, false},
	{`{"DateGreaterThan":{"aws:CurrentTime":"2026"}}`, nil, true},
	{`{"DateGreaterThan":{"aws:CurrentTime":["2027-01","2026-03-04T05:06Z"]}}`, nil, true},
	{`{"DateGreaterThan":{"aws:EpochTime":"1577836800"}}`, nil, true},
	{`{"DateLessThan":{"aws:EpochTime":1577836800}}`, nil, false},
	{`{"NumericGreaterThan":{"aws:EpochTime":1577836800}}`, nil, true},
	{`{"DateLessThan":{"aws:PrincipalTag/since":"2021-01-01"}}`, nil, true},
	{`{"DateLessThan":{"aws:CurrentTime":"2030-01-01"}}`, bare, false},

	// Numbers.
	{`{"NumericEquals":{"aws:PrincipalTag/level":"7.0"}}`, nil, true},
	{`{"NumericNotEquals":{"aws:PrincipalTag/level":[7,8]}}`, nil, false},
	{`{"NumericLessThan":{"aws:PrincipalTag/level":"7"}}`, nil, false},
	{`{"NumericLessThanEquals":{"aws:PrincipalTag/level":7}}`, nil, true},
	{`{"NumericGreaterThan":{"aws:PrincipalTag/level":"-3.5"}}`, nil, true},
	{`{"NumericGreaterThanEquals":{"aws:PrincipalTag/level":[100,7]}}`, nil, true},
	{`{"NumericLessThan":{"aws:username":"100"}}`, nil, false},
	{`{"NumericNotEquals":{"aws:username":"100"}}`, nil, true},

	// Truth values.
	{`{"Bool":{"aws:SecureTransport":"true"}}`, nil, true},
	{`{"Bool":{"aws:SecureTransport":"false"}}`, nil, false},
	{`{"Bool":{"aws:SecureTransport":false}}`, bare, true},
	{`{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`, nil, false},
	{`{"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}}`, nil, true},

	// Keys that are not there.
	{`{"StringEquals":{"aws:PrincipalTag/no":"x"}}`, nil, false},
	{`{"StringNotEquals":{"aws:PrincipalTag/no":"x"}}`, nil, true},
	{`{"StringNotLike":{"aws:PrincipalTag/no":"*"}}`, nil, true},
	{`{"ArnNotLike":{"aws:SourceArn":"*"}}`, nil, true},
	{`{"NotIpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, bare, true},
	{`{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, bare, false},
	{`{"DateNotEquals":{"aws:CurrentTime":"2020"}}`, bare, true},
	{`{"NumericNotEquals":{"aws:PrincipalTag/no":"1"}}`, nil, true},
	{`{"StringEqualsIfExists":{"aws:PrincipalTag/no":"x"}}`, nil, true},
	{`{"StringEqualsIfExists":{"aws:PrincipalTag/team":"x"}}`, nil, false},
	{`{"IpAddressIfExists":{"aws:SourceIp":"10.0.0.0/8"}}`, bare, true},
	{`{"Null":{"aws:PrincipalTag/no":"true"}}`, nil, true},
	{`{"Null":{"aws:PrincipalTag/no":"false"}}`, nil, false},
	{`{"Null":{"aws:PrincipalTag/team":"false"}}`, nil, true},
	{`{"Null":{"aws:PrincipalTag/none":false}}`, nil, true},
	{`{"Null":{"aws:PrincipalTag/no":["true","false"]}}`, nil, true},
	{`{"StringEquals":{"aws:PrincipalTag/none":""}}`, nil, true},

	// Many values. The request has env, cost and old.
	{`{"ForAllValues:StringEquals":{"aws:TagKeys":["env","cost","old","more"]}}`, nil, true},
	{`{"ForAllValues:StringEquals":{"aws:TagKeys":["env","cost"]}}`, nil, false},
	{`{"ForAllValues:StringLike":{"aws:TagKeys":["*"]}}`, bare, true},
	{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["secret"]}}`, nil, true},
	{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["secret","old"]}}`, nil, false},
	{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["old","secret"]}}`, nil, true},
	{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["secret"]}}`, nil, false},
	{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["env","cost"]}}`, nil, true},
	{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["env","cost","old"]}}`, nil, false},
	{`{"ForAnyValue:StringLike":{"aws:TagKeys":["*"]}}`, bare, false},
	{`{"ForAnyValue:StringNotLike":{"aws:TagKeys":["x"]}}`, bare, false},
	{`{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["*"]}}`, bare, false},
	{`{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["x"]}}`, bare, true},
	{`{"ForAnyValue:StringEquals":{"aws:username":["ann","bob"]}}`, nil, true},
	{`{"ForAllValues:StringEquals":{"aws:username":["bob"]}}`, nil, false},
	{`{"ForAllValues:IpAddress":{"aws:SourceIp":["203.0.113.0/24"]}}`, nil, true},
	{`{"ForAllValues:StringEquals":{"aws:PrincipalTag/none":["x"]}}`, nil, true},
	{`{"ForAnyValue:StringEquals":{"aws:PrincipalTag/none":[""]}}`, nil, false},
	{`{"Null":{"aws:TagKeys":"true"}}`, bare, true},
	{`{"Null":{"aws:TagKeys":"true"}}`, nil, false},

	// Variables.
	{`{"StringEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`, nil, true},
	{`{"StringEquals":{"ecr:ResourceTag/team":"${AWS:principaltag/TEAM}"}}`, nil, true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`, as(session), false},
	{`{"StringEqualsIgnoreCase":{"aws:ResourceTag/owner":"A${aws:PrincipalTag/x, 'N'}N"}}`, nil, true},
	{`{"StringLike":{"aws:ResourceTag/team":"${aws:PrincipalTag/star}"}}`, nil, false},
	{`{"StringLike":{"aws:PrincipalTag/star":"${aws:PrincipalTag/star}"}}`, nil, true},
	{`{"StringLike":{"aws:PrincipalTag/star":"?${*}"}}`, nil, true},
	{`{"StringLike":{"aws:PrincipalTag/team":"?${*}"}}`, nil, false},
	{`{"StringEquals":{"aws:PrincipalTag/star":"b${*}"}}`, nil, true},
	{`{"StringEquals":{"aws:SourceIp":"${aws:SourceIp}"}}`, nil, true},
	{`{"StringNotEquals":{"aws:username":"${$}{x}${?}"}}`, nil, true},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/${aws:username}"}}`, nil, true},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalAccount}:user/*"}}`, nil, true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/no, 'blue'}"}}`, nil, true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/no,'blue'}"}}`, nil, true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team, 'red'}"}}`, nil, true},
	{`{"Bool":{"aws:SecureTransport":"${aws:SecureTransport}"}}`, nil, true},
	// Without a value the whole statement is about nothing.
	{`{"StringNotEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/no}"}}`, nil, false},
	{`{"StringEquals":{"aws:ResourceTag/team":["blue","${aws:PrincipalTag/no}"]}}`, nil, false},
	{`{"StringNotEquals":{"aws:ResourceTag/no":"${aws:PrincipalTag/no}"}}`, nil, false},
	{`{"StringNotEqualsIfExists":{"aws:ResourceTag/no":"${aws:PrincipalTag/no}"}}`, nil, true},
	{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/${aws:PrincipalTag/no}"}}`, nil, false},
	{`{"ForAllValues:StringEquals":{"aws:TagKeys":"${aws:PrincipalTag/no}"}}`, bare, false},
}

func TestConditions(t *testing.T) {
	for _, test := range conditionTests {
		p, err := auth.ParsePolicy("p", document(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+test.condition+`}`))
		if err != nil {
			t.Errorf("%s: %v", test.condition, err)
			continue
		}
		r := asked()
		if test.change != nil {
			test.change(&r)
		}
		if got := auth.Decide(auth.Policies{Identity: []*auth.Policy{p}}, r).Allowed; got != test.want {
			t.Errorf("%s: %v, want %v", test.condition, got, test.want)
		}
	}
}

// TestVariablesOfOld has a policy of 2008, in which $ is a letter like any other.
func TestVariablesOfOld(t *testing.T) {
	old := func(condition string) auth.Decision {
		t.Helper()
		p, err := auth.ParsePolicy("p", `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+condition+`}}`)
		must(t, err)
		r := asked()
		r.Context.ResourceTags = map[string]string{"literal": "${aws:username}"}
		return auth.Decide(auth.Policies{Identity: []*auth.Policy{p}}, r)
	}
	if old(`{"StringEquals":{"aws:username":"${aws:username}"}}`).Allowed {
		t.Error("a variable")
	}
	if !old(`{"StringEquals":{"aws:ResourceTag/literal":"${aws:username}"}}`).Allowed {
		t.Error("no text either")
	}
	if !old(`{"StringLike":{"aws:ResourceTag/literal":"${*"}}`).Allowed {
		t.Error("a variable that is not closed")
	}
}

var refusedConditions = []struct{ condition, says string }{
	{`[]`, "not a JSON object"},
	{`"x"`, "not a JSON object"},
	{`null`, "not a JSON object"},
	{`{"StringMatches":{"aws:username":"a"}}`, `"StringMatches" is not known`},
	{`{"BinaryEquals":{"aws:username":"a"}}`, "is not known"},
	{`{"ForSomeValues:StringEquals":{"aws:username":"a"}}`, "is not known"},
	{`{"ForAllValues:ForAnyValue:StringEquals":{"aws:username":"a"}}`, "is not known"},
	{`{"NullIfExists":{"aws:username":"true"}}`, "Null goes with neither"},
	{`{"ForAnyValue:Null":{"aws:username":"true"}}`, "Null goes with neither"},
	{`{"StringEquals":"aws:username"}`, "not a JSON object"},
	{`{"StringEquals":{"aws:username":"a","aws:username":"b"}}`, "twice"},
	{`{"StringEquals":{"aws:username":"a","aws:UserName":"b"}}`, "its case does not matter"},
	{`{"StringEquals":{"a":"b"},"StringEquals":{"c":"d"}}`, "twice"},
	{`{"StringEquals":{"stringequals":{"a":"b"}}}`, "no condition key"},
	{`{"StringEquals":{"username":"a"}}`, "no condition key"},
	{`{"StringEquals":{":x":"a"}}`, "no condition key"},
	{`{"StringEquals":{"aws:":"a"}}`, "no condition key"},
	{`{"StringEquals":{"a b:c":"a"}}`, "no condition key"},
	{`{"StringEquals":{"aws:a\nb":"a"}}`, "control characters"},
	{`{"StringEquals":{"aws:PrincipalTag":"a"}}`, "needs the name of a tag"},
	{`{"StringEquals":{"aws:PrincipalTag/":"a"}}`, "needs the name of a tag"},
	{`{"StringEquals":{"aws:` + strings.Repeat("x", 300) + `":"a"}}`, "more than 256"},
	{`{"StringEquals":{"aws:username":[]}}`, "empty list"},
	{`{"StringEquals":{"aws:username":null}}`, "must be a string"},
	{`{"StringEquals":{"aws:username":[null]}}`, "must be a string"},
	{`{"StringEquals":{"aws:username":{"a":"b"}}}`, "must be a string"},
	{`{"StringEquals":{"aws:username":[["a"]]}}`, "must be a string"},
	{`{"StringEquals":{"aws:TagKeys":"env"}}`, "ForAllValues:"},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/33"}}`, "neither an address"},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113"}}`, "neither an address"},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.*"}}`, "neither an address"},
	{`{"IpAddress":{"aws:SourceIp":"${aws:SourceIp}"}}`, "neither an address"},
	{`{"IpAddress":{"aws:SourceIp":""}}`, "neither an address"},
	{`{"IpAddress":{"aws:SourceIp":"fe80::1%eth0"}}`, "neither an address"},
	{`{"DateLessThan":{"aws:CurrentTime":"yesterday"}}`, "no time"},
	{`{"DateLessThan":{"aws:CurrentTime":"2026-02-30"}}`, "no time"},
	{`{"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:00:00"}}`, "no time"},
	{`{"DateLessThan":{"aws:CurrentTime":"2026-*"}}`, "no time"},
	{`{"NumericLessThan":{"aws:EpochTime":"many"}}`, "no number"},
	{`{"NumericLessThan":{"aws:EpochTime":"NaN"}}`, "no number"},
	{`{"NumericLessThan":{"aws:EpochTime":"1e999"}}`, "no number"},
	{`{"NumericLessThan":{"aws:EpochTime":true}}`, "no number"},
	{`{"Bool":{"aws:SecureTransport":"yes"}}`, `"true" or "false"`},
	{`{"Null":{"aws:SecureTransport":"1"}}`, `"true" or "false"`},
	{`{"ArnLike":{"aws:PrincipalArn":"user/ann"}}`, "no ARN"},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*"}}`, "no ARN"},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::1:${user}"}}`, "no condition key"},
	{`{"StringEquals":{"aws:username":"${aws:username"}}`, "not closed"},
	{`{"StringEquals":{"aws:username":"${}"}}`, "no condition key"},
	{`{"StringEquals":{"aws:username":"${aws:TagKeys}"}}`, "many values"},
	{`{"StringEquals":{"aws:username":"${aws:userid, none}"}}`, "single quotes"},
	{`{"StringEquals":{"aws:username":"${aws:userid, 'a'b'}"}}`, "not closed"},
	{`{"StringEquals":{"aws:username":"${aws:userid, 'a' 'b'}"}}`, "single quotes"},
	{`{"StringEquals":{"aws:username":"` + strings.Repeat("${aws:userid}", 9) + `"}}`, "8 variables"},
}

func TestConditionsThatAreRefused(t *testing.T) {
	for _, test := range refusedConditions {
		_, err := auth.ParsePolicy("p", document(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+test.condition+`}`))
		if !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, which should say %q", test.condition, err, test.says)
		}
	}
}
