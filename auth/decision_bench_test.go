package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"berth/auth"
)

// manyStatements are policies of 50 statements in all, of the kinds there are, none of
// which decides, but that the last one allows.
func manyStatements(tb testing.TB) auth.Policies {
	tb.Helper()
	join := func(n int, format string) string {
		var list []string
		for i := range n {
			list = append(list, strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
		}
		return document("[" + strings.Join(list, ",") + "]")
	}
	identity, err := auth.ParsePolicy("p", join(20, `{"Effect":"Deny","Action":"ecr:*","Resource":["arn:aws:ecr:*:*:repository/other%d/*","arn:aws:ecr:*:*:repository/*/${aws:username}%d"]}`))
	must(tb, err)
	onRegistry, err := auth.ParseRegistryPolicy(join(15, `{"Effect":"Deny","Principal":"*","Action":"ecr:*","Condition":{
		"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","10.%d.0.0/16"]},"StringNotEquals":{"aws:PrincipalTag/team":["blue","t%d"]}}}`))
	must(tb, err)
	onRepository, err := auth.ParseRepositoryPolicy(join(14,
		`{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::000000000000:user/u%d","arn:aws:iam::444455556666:role/r%d"]},"Action":["ecr:Put*","ecr:Batch*"],
		"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"},"Bool":{"aws:SecureTransport":"true"}}}`))
	must(tb, err)
	last, err := auth.ParsePolicy("last", document(`{"Sid":"Last","Effect":"Allow","Action":"ecr:PutImage","Resource":"arn:aws:ecr:*:*:repository/team/*",
		"Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"},"DateLessThan":{"aws:CurrentTime":"2030-01-01"}}}`))
	must(tb, err)
	return auth.Policies{Identity: []*auth.Policy{identity, last}, Registry: onRegistry, Repository: onRepository}
}

func BenchmarkDecide(b *testing.B) {
	p, r := manyStatements(b), asked()
	b.ReportAllocs()
	for b.Loop() {
		if d := auth.Decide(p, r); d.Statement != "Last" {
			b.Fatalf("%+v", d)
		}
	}
}

// TestDecideDoesNotAllocate keeps decisions out of the garbage collector's way.
func TestDecideDoesNotAllocate(t *testing.T) {
	p, r := manyStatements(t), asked()
	if n := testing.AllocsPerRun(100, func() { auth.Decide(p, r) }); n > 0 {
		t.Errorf("a decision by 50 statements allocates %v times", n)
	}
}
