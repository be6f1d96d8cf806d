package sigv4_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"berth/auth/sigv4"
)

// askingWho is a presigned request to STS, as it is handed to somebody else to prove
// who one is. life is X-Amz-Expires; empty leaves it out.
func askingWho(t testing.TB, c aws.Credentials, life string) (*http.Request, []byte) {
	t.Helper()
	u := "https://registry.example.test/?" + whoAmI
	if life != "" {
		u += "&X-Amz-Expires=" + life
	}
	return arrive(t, presign(t, newRequest(t, "GET", u, "", "X-K8s-Aws-Id", "cluster"), "", c, "sts", now))
}

func TestPresigned(t *testing.T) {
	for _, c := range []aws.Credentials{lasting, temporary} {
		r, body := askingWho(t, c, "900")
		s, err := newVerifier().Verify(r, body)
		if err != nil || s.KeyID != c.AccessKeyID || s.SessionToken != c.SessionToken || s.Service != "sts" || !s.Presigned || !s.Time.Equal(now) {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func TestPresignedLife(t *testing.T) {
	for _, test := range []struct {
		life    string
		arrives time.Duration // after it was signed
		code    sigv4.Code
		text    string
	}{
		{"900", 15 * time.Minute, sigv4.Code{}, ""},
		{"900", 15*time.Minute + time.Second, sigv4.RequestExpired, "Request has expired"},
		{"1", time.Second, sigv4.Code{}, ""},
		{"1", 2 * time.Second, sigv4.RequestExpired, "Request has expired"},
		{"604800", 7 * 24 * time.Hour, sigv4.Code{}, ""},
		{"604800", 7*24*time.Hour + time.Second, sigv4.RequestExpired, "Request has expired"},
		{"604800", -5 * time.Minute, sigv4.Code{}, ""},
		{"604800", -5*time.Minute - time.Second, sigv4.InvalidSignature, "Signature not yet current"},
		{"", 5 * time.Minute, sigv4.Code{}, ""},
		{"", 5*time.Minute + time.Second, sigv4.InvalidSignature, "Signature expired"},
		{"0", 0, sigv4.IncompleteSignature, "X-Amz-Expires must be a number of seconds from 1 to 604800"},
		{"604801", 0, sigv4.IncompleteSignature, "X-Amz-Expires must be"},
		{"-1", 0, sigv4.IncompleteSignature, "X-Amz-Expires must be"},
		{"1e3", 0, sigv4.IncompleteSignature, "X-Amz-Expires must be"},
		{"18446744073709551617", 0, sigv4.IncompleteSignature, "X-Amz-Expires must be"},
	} {
		r, body := askingWho(t, lasting, test.life)
		v := newVerifier()
		v.Clock = func() time.Time { return now.Add(test.arrives) }
		_, err := v.Verify(r, body)
		name := test.life + " after " + test.arrives.String()
		if test.code == (sigv4.Code{}) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantRefused(t, name, err, test.code, test.text)
	}
}

func TestPresignedTampered(t *testing.T) {
	set := func(name, value string) func(*http.Request, url.Values) {
		return func(_ *http.Request, q url.Values) { q.Set(name, value) }
	}
	without := func(name string) func(*http.Request, url.Values) {
		return func(_ *http.Request, q url.Values) { q.Del(name) }
	}
	for _, test := range []struct {
		name   string
		change func(*http.Request, url.Values)
		code   sigv4.Code
		text   string
	}{
		{"action", set("Action", "AssumeRole"), sigv4.InvalidSignature, "does not match the signature"},
		{"another parameter", set("a", "b"), sigv4.InvalidSignature, "does not match the signature"},
		{"an empty parameter", set("", ""), sigv4.InvalidSignature, "does not match the signature"},
		{"one parameter less", without("Version"), sigv4.InvalidSignature, "does not match the signature"},
		{"a longer life", set("X-Amz-Expires", "901"), sigv4.InvalidSignature, "does not match the signature"},
		{"no life", without("X-Amz-Expires"), sigv4.InvalidSignature, "does not match the signature"},
		{"date", set("X-Amz-Date", "20260115T120001Z"), sigv4.InvalidSignature, "does not match the signature"},
		{"day", set("X-Amz-Date", "20260114T120000Z"), sigv4.RequestExpired, ""},
		{"no date", without("X-Amz-Date"), sigv4.IncompleteSignature, "AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		{"no credential", without("X-Amz-Credential"), sigv4.IncompleteSignature, "must include 'X-Amz-Credential'"},
		{"no signed headers", without("X-Amz-SignedHeaders"), sigv4.IncompleteSignature, "must include 'X-Amz-SignedHeaders'"},
		{"no signature", without("X-Amz-Signature"), sigv4.IncompleteSignature, "must include 'X-Amz-Signature'"},
		{"no algorithm", without("X-Amz-Algorithm"), sigv4.MissingAuthenticationToken, "Request is missing Authentication Token"},
		{"empty algorithm", set("X-Amz-Algorithm", ""), sigv4.IncompleteSignature, "must include 'X-Amz-Algorithm'"},
		{"another algorithm", set("X-Amz-Algorithm", "AWS4-HMAC-SHA1"), sigv4.IncompleteSignature, "Unsupported AWS 'algorithm'"},
		{"another signature", set("X-Amz-Signature", hash("")), sigv4.InvalidSignature, "does not match the signature"},
		{"no token", without("X-Amz-Security-Token"), sigv4.UnrecognizedClient, ""},
		{"another key", set("X-Amz-Credential", "AKIDEXAMPLE/20260115/us-east-1/sts/aws4_request"), sigv4.UnrecognizedClient, ""},
		{"another service", set("X-Amz-Credential", "ASIAEXAMPLE/20260115/us-east-1/ecr/aws4_request"), sigv4.InvalidSignature, "does not match the signature"},
		{"method", func(r *http.Request, _ url.Values) { r.Method = "POST" }, sigv4.InvalidSignature, "does not match the signature"},
		{"host", func(r *http.Request, _ url.Values) { r.Host = "other.example.test" }, sigv4.InvalidSignature, "does not match the signature"},
		{"a signed header", func(r *http.Request, _ url.Values) { r.Header.Set("X-K8s-Aws-Id", "other") }, sigv4.InvalidSignature, "does not match the signature"},
		{"no signed header", func(r *http.Request, _ url.Values) { r.Header.Del("X-K8s-Aws-Id") }, sigv4.InvalidSignature, "no such header"},
		{"fewer signed headers", set("X-Amz-SignedHeaders", "host"), sigv4.InvalidSignature, "does not match the signature"},
		{"another target", func(r *http.Request, _ url.Values) { r.Header.Set("X-Amz-Target", "a") }, sigv4.InvalidSignature, "'x-amz-target' must be a 'SignedHeader'"},
		{"an Authorization header", func(r *http.Request, _ url.Values) { r.Header.Set("Authorization", "Basic YTpi") }, sigv4.InvalidSignature, "Found both"},
	} {
		r, body := askingWho(t, temporary, "900")
		q := r.URL.Query()
		test.change(r, q)
		r.URL.RawQuery = q.Encode()
		_, err := newVerifier().Verify(r, body)
		wantRefused(t, test.name, err, test.code, test.text)
	}
	r, _ := askingWho(t, temporary, "900")
	_, err := newVerifier().Verify(r, []byte("Action=AssumeRole"))
	wantRefused(t, "a body", err, sigv4.InvalidSignature, "does not match the signature")
	for _, again := range []string{"&X-Amz-Signature=a", "&Action=AssumeRole", "&X-Amz-Expires=901"} {
		r, body := askingWho(t, temporary, "900")
		r.URL.RawQuery += again
		_, err = newVerifier().Verify(r, body)
		wantRefused(t, again, err, sigv4.InvalidSignature, "more than once")
	}
}

// TestPresignedHeaderAndParameter: where a header repeats a parameter, two hands could
// take one each, even if both are signed.
func TestPresignedHeaderAndParameter(t *testing.T) {
	r := newRequest(t, "GET", endpoint+"?x-amz-content-sha256="+hash(""), "", "X-Amz-Content-Sha256", hash(""))
	_, err := newVerifier().Verify(arrive(t, presign(t, r, "", lasting, "sts", now)))
	wantRefused(t, "twice", err, sigv4.InvalidSignature, "could be read in two ways")
}

// TestPresignedPayload has the payload stand in the query, as the SDK for JavaScript
// puts it there.
func TestPresignedPayload(t *testing.T) {
	for _, test := range []struct {
		name, said string
		secure     bool
		text       string
	}{
		{"the hash", hash(describe), false, ""},
		{"another hash", hash(""), true, "does not match what was computed"},
		{"unsigned", "UNSIGNED-PAYLOAD", false, "only over TLS"},
		{"unsigned over TLS", "UNSIGNED-PAYLOAD", true, ""},
	} {
		r := newRequest(t, "POST", endpoint+"?X-Amz-Content-Sha256="+test.said, describe)
		r, body := arrive(t, presignWithPayload(t, r, describe, test.said))
		v := newVerifier()
		v.Secure = func(*http.Request) bool { return test.secure }
		_, err := v.Verify(r, body)
		if test.text == "" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		wantRefused(t, test.name, err, sigv4.InvalidSignature, test.text)
	}
}
