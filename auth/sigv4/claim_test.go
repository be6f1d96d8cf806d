package sigv4_test

import (
	"strings"
	"testing"

	"berth/auth/sigv4"
)

// TestAuthorizationHeader has what the header may look like, and what not.
func TestAuthorizationHeader(t *testing.T) {
	r, body := described(t)
	right := r.Header.Get("Authorization")
	replace := func(old, new string) string {
		if !strings.Contains(right, old) {
			t.Fatalf("there is no %q in %q", old, right)
		}
		return strings.Replace(right, old, new, 1)
	}
	signature := right[strings.Index(right, "Signature="):]
	for _, test := range []struct {
		name, header string
		code         sigv4.Code
		text         string
	}{
		{"no blanks", strings.ReplaceAll(right, ", ", ","), sigv4.Code{}, ""},
		{"more blanks", strings.ReplaceAll(right, ", ", "  ,  "), sigv4.Code{}, ""},
		{"another order", "AWS4-HMAC-SHA256 " + signature + ", " + strings.TrimPrefix(replace(", "+signature, ""), "AWS4-HMAC-SHA256 "), sigv4.Code{}, ""},
		{"Basic", "Basic YWxpY2U6c2VjcmV0", sigv4.MissingAuthenticationToken, "Request is missing Authentication Token"},
		{"empty", "", sigv4.MissingAuthenticationToken, "Request is missing Authentication Token"},
		{"lower case", strings.ToLower(right), sigv4.MissingAuthenticationToken, ""},
		{"nothing behind the algorithm", "AWS4-HMAC-SHA256", sigv4.IncompleteSignature, "missing equal-sign"},
		{"no pair", "AWS4-HMAC-SHA256 Credential", sigv4.IncompleteSignature, `"Credential" not a valid key=value pair (missing equal-sign) in Authorization header.`},
		{"only a signature", "AWS4-HMAC-SHA256 Signature=a", sigv4.IncompleteSignature, "Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' parameter."},
		{"no signature", replace(", "+signature, ""), sigv4.IncompleteSignature, "requires 'Signature' parameter"},
		{"empty signature", replace(signature, "Signature="), sigv4.IncompleteSignature, "requires 'Signature' parameter"},
		{"two credentials", replace("Credential=", "Credential=a/b/c/d/e, Credential="), sigv4.IncompleteSignature, "twice"},
		{"another parameter", right + ", Expires=5", sigv4.IncompleteSignature, "unknown parameter"},
		{"a comma at the end", right + ",", sigv4.IncompleteSignature, "missing equal-sign"},
		{"another algorithm", replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), sigv4.IncompleteSignature, `Unsupported AWS 'algorithm': "AWS4-ECDSA-P256-SHA256" (only AWS4-HMAC-SHA256 for now).`},
		{"four elements", replace("/aws4_request", ""), sigv4.IncompleteSignature, "exactly 5 slash-delimited elements"},
		{"six elements", replace("/aws4_request", "/x/aws4_request"), sigv4.IncompleteSignature, "exactly 5 slash-delimited elements"},
		{"no key", replace("AKIDEXAMPLE", ""), sigv4.UnrecognizedClient, "The security token included in the request is invalid."},
		{"a strange key", replace("AKIDEXAMPLE", "AKID'EXAMPLE"), sigv4.UnrecognizedClient, ""},
		{"a long key", replace("AKIDEXAMPLE", strings.Repeat("A", 129)), sigv4.UnrecognizedClient, ""},
		{"an unknown key", replace("AKIDEXAMPLE", "AKIDEXAMPLF"), sigv4.UnrecognizedClient, "The security token included in the request is invalid."},
		{"another region", replace("/us-east-1/", "/eu-west-1/"), sigv4.InvalidSignature, "Credential should be scoped to a valid region, not 'eu-west-1'."},
		{"another service", replace("/ecr/", "/s3/"), sigv4.InvalidSignature, "Credential should be scoped to correct service: 'ecr' or 'sts'."},
		{"another terminator", replace("aws4_request", "aws5_request"), sigv4.InvalidSignature, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'."},
		{"another date", replace("/20260115/", "/20260114/"), sigv4.InvalidSignature, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260114' != '20260115', from '20260115T120000Z'."},
		{"all of that", replace("/20260115/us-east-1/ecr/aws4_request", "/a/b/c/d"), sigv4.InvalidSignature, "region, not 'b'. Credential should be scoped to correct service: 'ecr' or 'sts'. Credential should be scoped with a valid terminator: 'aws4_request', not 'd'. Date"},
		{"the other service of ours", replace("/ecr/", "/sts/"), sigv4.InvalidSignature, "does not match the signature you provided"},
		{"no host", replace("host;", ""), sigv4.InvalidSignature, "'Host' must be a 'SignedHeader' in the AWS Authorization."},
		{"no target", replace(";x-amz-target", ""), sigv4.InvalidSignature, "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."},
		{"no type", replace("content-type;", ""), sigv4.InvalidSignature, "does not match the signature you provided"},
		{"headers in capitals", replace("host;", "Host;"), sigv4.IncompleteSignature, "SignedHeaders must be names"},
		{"headers in another order", replace("host;x-amz-date", "x-amz-date;host"), sigv4.IncompleteSignature, "SignedHeaders must be names"},
		{"a header twice", replace("host;", "host;host;"), sigv4.IncompleteSignature, "SignedHeaders must be names"},
		{"an empty header", replace("host;", "host;;"), sigv4.IncompleteSignature, "SignedHeaders must be names"},
		{"a header that is not there", replace("host;", "host;if-match;"), sigv4.InvalidSignature, "no such header"},
		{"too many headers", replace("host;", "host;"+manyHeaders()), sigv4.IncompleteSignature, "at most"},
		{"a signature in capitals", replace(signature, "Signature="+strings.ToUpper(signature[10:])), sigv4.InvalidSignature, "does not match the signature you provided"},
		{"a short signature", right[:len(right)-1], sigv4.InvalidSignature, "does not match the signature you provided"},
		{"a long signature", right + "0", sigv4.InvalidSignature, "does not match the signature you provided"},
	} {
		r.Header.Set("Authorization", test.header)
		_, err := newVerifier().Verify(r, body)
		if test.code == (sigv4.Code{}) {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		wantRefused(t, test.name, err, test.code, test.text)
	}
	r.Header["Authorization"] = []string{right, right}
	_, err := newVerifier().Verify(r, body)
	wantRefused(t, "two headers", err, sigv4.IncompleteSignature, "more than one")
	r.Header.Del("Authorization")
	_, err = newVerifier().Verify(r, body)
	wantRefused(t, "no header", err, sigv4.MissingAuthenticationToken, "Request is missing Authentication Token")
}

func manyHeaders() string {
	var s strings.Builder
	for c := 'a'; c <= 'z'; c++ {
		for d := 'a'; d <= 'e'; d++ {
			s.WriteString("i" + string(c) + string(d) + ";")
		}
	}
	return s.String()
}
