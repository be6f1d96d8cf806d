package sigv4_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"berth/auth/sigv4"
)

const (
	region = "us-east-1"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// now is when the requests of these tests are signed and arrive.
var now = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// keys are access keys by ID.
type keys map[string]key

type key struct{ secret, token, owner string }

func (k keys) Key(_ context.Context, id, token string) (sigv4.Key[string], error) {
	found, ok := k[id]
	if !ok || found.token != token {
		return sigv4.Key[string]{}, sigv4.ErrKeyUnknown
	}
	return sigv4.Key[string]{Secret: found.secret, Owner: found.owner}, nil
}

var known = keys{
	"AKIDEXAMPLE": {secret: secret, owner: "alice"},
	"ASIAEXAMPLE": {secret: secret, token: "SESSION/TOKEN==", owner: "session of alice"},
}

var (
	lasting   = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
	temporary = aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret, SessionToken: "SESSION/TOKEN=="}
)

func newVerifier() *sigv4.Verifier[string] {
	return &sigv4.Verifier[string]{
		Keys: known, Services: []string{"ecr", "sts"}, Region: region,
		Clock: func() time.Time { return now },
	}
}

// tester is what a *testing.T and a *rapid.T have in common.
type tester interface {
	Helper()
	Context() context.Context
	Fatal(...any)
	Fatalf(string, ...any)
}

// newRequest makes a request as a client does that is about to sign it.
func newRequest(t tester, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// sign signs a request as the SDK does.
func sign(t tester, r *http.Request, body string, c aws.Credentials, service string, at time.Time) {
	t.Helper()
	if err := v4.NewSigner().SignHTTP(t.Context(), c, r, hash(body), service, region, at); err != nil {
		t.Fatal(err)
	}
}

// presign makes a presigned request as the SDK does.
func presign(t tester, r *http.Request, body string, c aws.Credentials, service string, at time.Time) *http.Request {
	t.Helper()
	url, headers, err := v4.NewSigner().PresignHTTP(t.Context(), c, r, hash(body), service, region, at)
	return presigned(t, r, body, url, headers, err)
}

// presigned is the request that the SDK has presigned.
func presigned(t tester, r *http.Request, body, url string, headers http.Header, err error) *http.Request {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	signed := newRequest(t, r.Method, url, body)
	for name, values := range headers {
		if name != "Host" && name != "Content-Length" {
			signed.Header[name] = values
		}
	}
	signed.Host = headers.Get("Host")
	return signed
}

// arrive is the request as a server reads it from the wire, with its body.
func arrive(t tester, r *http.Request) (*http.Request, []byte) {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	return read(t, wire.String())
}

// read is the request that stands in text.
func read(t tester, text string) (*http.Request, []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.WithContext(t.Context()), body
}

// wantRefused fails the test unless err has the code and a message that contains text.
func wantRefused(t testing.TB, what string, err error, code sigv4.Code, text string) {
	t.Helper()
	refused, ok := errors.AsType[*sigv4.Error](err)
	switch {
	case !ok:
		t.Errorf("%s: got %v, want %s", what, err, code.JSON)
	case refused.Code != code || !strings.Contains(refused.Message, text):
		t.Errorf("%s: got %v, want %s with %q", what, err, code.JSON, text)
	}
}

// signWithPayload signs a request to ECR with something in place of its body's hash.
func signWithPayload(t tester, r *http.Request, payload string) {
	t.Helper()
	if err := v4.NewSigner().SignHTTP(t.Context(), lasting, r, payload, "ecr", region, now); err != nil {
		t.Fatal(err)
	}
}

// presignWithPayload presigns a request to ECR likewise.
func presignWithPayload(t tester, r *http.Request, body, payload string) *http.Request {
	t.Helper()
	url, headers, err := v4.NewSigner().PresignHTTP(t.Context(), lasting, r, payload, "ecr", region, now)
	return presigned(t, r, body, url, headers, err)
}
