package sigv4_test

import (
	"strings"
	"testing"
)

// BenchmarkVerify is to take no more than 0.1 ms.
func BenchmarkVerify(b *testing.B) {
	body := `{"repositoryNames":["` + strings.Repeat("a", 1000) + `"]}`
	r := newRequest(b, "POST", endpoint, body,
		"Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
		"Amz-Sdk-Invocation-Id", "01234567-89ab-cdef-0123-456789abcdef", "Amz-Sdk-Request", "attempt=1; max=3")
	sign(b, r, body, temporary, "ecr", now)
	r, content := arrive(b, r)
	v := newVerifier()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, content); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefused has a wrong signature and an unknown key, which should take as long.
func BenchmarkRefused(b *testing.B) {
	for _, id := range []string{"AKIDEXAMPLE", "AKIDEXAMPLF"} {
		b.Run(id, func(b *testing.B) {
			r := describing(b)
			c := lasting
			c.AccessKeyID, c.SecretAccessKey = id, "wrong"
			sign(b, r, describe, c, "ecr", now)
			r, body := arrive(b, r)
			v := newVerifier()
			for b.Loop() {
				if _, err := v.Verify(r, body); err == nil {
					b.Fatal("it was taken")
				}
			}
		})
	}
}
