package sigv4_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"berth/auth/sigv4"
)

const (
	endpoint = "http://registry.example.test:5000/"
	describe = `{"repositoryNames":["team-a/web"]}`
	whoAmI   = "Action=GetCallerIdentity&Version=2011-06-15"
)

// describing is a request to ECR.
func describing(t testing.TB) *http.Request {
	t.Helper()
	return newRequest(t, "POST", endpoint, describe,
		"Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")
}

// described is that request, signed and arrived.
func described(t testing.TB) (*http.Request, []byte) {
	t.Helper()
	r := describing(t)
	sign(t, r, describe, lasting, "ecr", now)
	return arrive(t, r)
}

func TestVerify(t *testing.T) {
	r := describing(t)
	sign(t, r, describe, temporary, "ecr", now)
	r, body := arrive(t, r)
	s, err := newVerifier().Verify(r, body)
	want := sigv4.Signed[string]{
		KeyID: "ASIAEXAMPLE", SessionToken: "SESSION/TOKEN==", Region: region, Service: "ecr", Time: now, Owner: "session of alice",
	}
	if err != nil || s != want {
		t.Errorf("got %+v, %v; want %+v", s, err, want)
	}
	r = newRequest(t, "POST", endpoint, whoAmI, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sign(t, r, whoAmI, lasting, "sts", now)
	if s, err := newVerifier().Verify(arrive(t, r)); err != nil || s.Service != "sts" || s.Owner != "alice" {
		t.Errorf("STS: %+v, %v", s, err)
	}
}

func TestClock(t *testing.T) {
	for _, test := range []struct {
		arrives time.Duration // after it was signed
		text    string        // of the refusal
	}{
		{0, ""},
		{5 * time.Minute, ""},
		{-5 * time.Minute, ""},
		{5*time.Minute + 999*time.Millisecond, ""}, // 5 minutes in the precision of the request
		{5*time.Minute + time.Second, "Signature expired: 20260115T120000Z is now earlier than 20260115T120001Z (20260115T120501Z - 5 min.)"},
		{15 * time.Minute, "Signature expired: 20260115T120000Z is now earlier than 20260115T121000Z (20260115T121500Z - 5 min.)"},
		{-5*time.Minute - time.Second, "Signature not yet current: 20260115T120000Z is still later than 20260115T115959Z (20260115T115459Z + 5 min.)"},
		{-24 * time.Hour, "Signature not yet current: 20260115T120000Z is still later than 20260114T120500Z (20260114T120000Z + 5 min.)"},
	} {
		r, body := described(t)
		v := newVerifier()
		v.Clock = func() time.Time { return now.Add(test.arrives).In(time.FixedZone("", 3600)) }
		_, err := v.Verify(r, body)
		if test.text == "" {
			if err != nil {
				t.Errorf("%s: %v", test.arrives, err)
			}
			continue
		}
		wantRefused(t, test.arrives.String(), err, sigv4.InvalidSignature, test.text)
	}
}

// TestDate is about the form of the date and where it stands.
func TestDate(t *testing.T) {
	for _, date := range []string{
		"20260115T120000.5Z", "20260115T120000", "2026-01-15T12:00:00Z", "20261315T120000Z", "Thu, 15 Jan 2026 12:00:00 GMT", "201",
	} {
		r, body := described(t)
		r.Header.Set("X-Amz-Date", date)
		_, err := newVerifier().Verify(r, body)
		wantRefused(t, date, err, sigv4.IncompleteSignature, "Date must be in ISO-8601 'basic format'. Got ")
	}
	r, body := described(t)
	r.Header.Del("X-Amz-Date")
	_, err := newVerifier().Verify(r, body)
	wantRefused(t, "no date", err, sigv4.IncompleteSignature, "requires existence of either a 'X-Amz-Date' or a 'Date' header")
	r.Header["Date"] = []string{"20260115T120000Z", "20260115T120001Z"}
	_, err = newVerifier().Verify(r, body)
	wantRefused(t, "two dates", err, sigv4.InvalidSignature, "more than one 'Date' header")

	// Signed by hand, since no SDK uses Date.
	r, body = read(t, "POST / HTTP/1.1\r\nHost: registry.example.test:5000\r\nDate: 20260115T120000Z\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-east-1/ecr/aws4_request, SignedHeaders=date;host, "+
		"Signature=74499f440fb34bd1f2fd0482c5124a3ffa0c5ccc6aecf0c2cfc9ce77a158a515\r\nContent-Length: 2\r\n\r\n{}")
	if _, err := newVerifier().Verify(r, body); err != nil {
		t.Errorf("with a Date header: %v", err)
	}
}

func TestRegion(t *testing.T) {
	for _, test := range []struct {
		ours, theirs string
		ok           bool
	}{
		{"", "us-east-1", true}, {"", "on_premises", true}, {"", "", false}, {"", "a b", false}, {"us-east-1", "", false},
	} {
		r, body := described(t)
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", test.theirs, 1))
		v := newVerifier()
		v.Region = test.ours
		_, err := v.Verify(r, body)
		if test.ok && test.theirs == region {
			if err != nil {
				t.Errorf("%+v: %v", test, err)
			}
			continue
		}
		want := "Credential should be scoped to a valid region"
		if test.ok {
			want = "does not match the signature" // the region is part of it
		}
		wantRefused(t, test.theirs, err, sigv4.InvalidSignature, want)
	}
}

// TestSessionToken: a token goes with its key and no other.
func TestSessionToken(t *testing.T) {
	for _, test := range []struct{ name, id, token string }{
		{"without", "ASIAEXAMPLE", ""},
		{"another", "ASIAEXAMPLE", "SESSION/TOKEN="},
		{"with a lasting key", "AKIDEXAMPLE", "SESSION/TOKEN=="},
	} {
		c := lasting
		c.AccessKeyID, c.SessionToken = test.id, test.token
		r := describing(t)
		sign(t, r, describe, c, "ecr", now)
		_, err := newVerifier().Verify(arrive(t, r))
		wantRefused(t, test.name, err, sigv4.UnrecognizedClient, "The security token included in the request is invalid.")
	}
}

// faulty has no keys at all, or one without a secret.
type faulty struct{ err error }

func (f faulty) Key(context.Context, string, string) (sigv4.Key[string], error) {
	return sigv4.Key[string]{Owner: "mallory"}, f.err
}

func TestSourceOfKeys(t *testing.T) {
	r, body := described(t)
	v := newVerifier()
	down := errors.New("the database is down")
	v.Keys = faulty{down}
	if _, err := v.Verify(r, body); !errors.Is(err, down) {
		t.Errorf("a fault: %v", err)
	}
	v.Keys = faulty{}
	c := lasting
	c.SecretAccessKey = ""
	empty := describing(t)
	sign(t, empty, describe, c, "ecr", now)
	if s, err := v.Verify(arrive(t, empty)); err == nil {
		t.Errorf("a key without a secret has proved %+v", s)
	}
	v.Keys = faulty{sigv4.ErrTokenExpired}
	_, err := v.Verify(r, body)
	wantRefused(t, "an expired token", err, sigv4.ExpiredToken, "The security token included in the request is expired")
}

// TestRefusedKeyHasNoSecret: what stands in for the secret of an unknown key opens
// nothing.
func TestRefusedKeyHasNoSecret(t *testing.T) {
	for _, secret := range []string{"", "of nobody"} {
		c := lasting
		c.AccessKeyID, c.SecretAccessKey = "AKIDUNKNOWN", secret
		r := describing(t)
		sign(t, r, describe, c, "ecr", now)
		_, err := newVerifier().Verify(arrive(t, r))
		wantRefused(t, secret, err, sigv4.UnrecognizedClient, "")
	}
}

func TestUsed(t *testing.T) {
	var used []string
	v := newVerifier()
	v.Used = func(_ context.Context, s sigv4.Signed[string]) { used = append(used, s.KeyID) }
	r, body := described(t)
	if _, err := v.Verify(r, body); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(r, append(body, ' ')); err == nil {
		t.Fatal("another body")
	}
	if len(used) != 1 || used[0] != "AKIDEXAMPLE" {
		t.Errorf("used: %q", used)
	}
}

func TestHost(t *testing.T) {
	r, body := described(t)
	r.Host = "10.0.0.1:5000"
	v := newVerifier()
	_, err := v.Verify(r, body)
	wantRefused(t, "a proxy's host", err, sigv4.InvalidSignature, "does not match the signature")
	v.Host = func(*http.Request) string { return "registry.example.test:5000" }
	if _, err := v.Verify(r, body); err != nil {
		t.Errorf("the host that the client has called: %v", err)
	}
}
