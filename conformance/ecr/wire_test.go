package ecr

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// signed is a request by hand.
func signed(t *testing.T, k key, operation string, body []byte, service string, at time.Time) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target.url+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+operation)
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, r, hex.EncodeToString(sum[:]), service, region, at); err != nil {
		t.Fatal(err)
	}
	return r
}

// answerOf sends a request and returns the status, the exception and its message.
func answerOf(t *testing.T, r *http.Request) (status int, exception, message string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Header.Get("X-Amzn-Requestid") == "" || answer.Header.Get("Content-Type") != "application/x-amz-json-1.1" || answer.Header.Get("Date") == "" {
		t.Errorf("the header of the answer is %v", answer.Header)
	}
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		t.Errorf("the answer is not JSON: %s", b)
	}
	return answer.StatusCode, e.Type, e.Message
}

// byHand sends an input as the administrator and notes what it comes to.
func byHand(t *testing.T, operation string, in any) (exception, message string) {
	t.Helper()
	body, ok := in.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(in); err != nil {
			t.Fatal(err)
		}
	}
	status, exception, message := answerOf(t, signed(t, target.admin, operation, body, "ecr", time.Now()))
	if (status == http.StatusOK) != (exception == "") {
		t.Errorf("%s: status %d with %q", operation, status, exception)
	}
	if exception == "" {
		seen.note(operation, nil)
	} else {
		seen.noteException(operation, &smithy.GenericAPIError{Code: exception, Message: message})
	}
	return exception, message
}

// TestBadInput gives each operation that has a member to be bad one that is, and those about a repository one that is not there.
func TestBadInput(t *testing.T) {
	connect(t)
	for operation, in := range inputs() {
		bad := members{}
		for name, value := range in {
			bad[name] = value
		}
		for _, name := range []string{"repositoryName", "resourceArn", "prefix", "ecrRepositoryPrefix", "principalArn", "name"} {
			if bad[name] != nil {
				bad[name] = "-Not A Name-"
			}
		}
		for _, name := range []string{"repositoryNames", "ecrRepositoryPrefixes"} {
			if bad[name] != nil {
				bad[name] = []any{}
			}
		}
		for _, name := range []string{"policyText", "replicationBackfillId", "destination", "signingConfiguration", "replicationConfiguration"} {
			delete(bad, name)
		}
		switch operation {
		case "GetAuthorizationToken":
			bad["registryIds"] = []any{"x"}
		case "DescribeRepositoryCreationTemplates", "ListPullTimeUpdateExclusions", "ListReplicationBackfills":
			bad["maxResults"] = 0
		case "PutRegistryScanningConfiguration":
			bad["scanType"] = "SOME"
		}
		exception, message := byHand(t, operation, bad)
		switch excuse := excused(operation, "InvalidParameterException"); {
		case operation == "PutSigningConfiguration" && exception != "ValidationException",
			excuse == "" && (exception != "InvalidParameterException" || !strings.HasPrefix(message, "Invalid parameter at '")) && operation != "DeleteSigningConfiguration":
			t.Errorf("%s with %v: %s %s", operation, bad, exception, message)
		}
		if !strings.Contains(documented[operation], "RNF") || operation == "BatchGetRepositoryScanningConfiguration" {
			continue
		}
		exception, message = byHand(t, operation, in)
		want := "The repository with name '" + goneRepo + "' does not exist in the registry with id '" + account + "'"
		if exception != "RepositoryNotFoundException" || message != want {
			t.Errorf("%s of a repository that is not there: %s %s", operation, exception, message)
		}
	}
}

// TestBadBodies: what is no JSON object of the right shape is told so.
func TestBadBodies(t *testing.T) {
	connect(t)
	for _, body := range []string{`[]`, `null`, `"x"`, `{`, `{} {}`, `{"repositoryName":7}`, strings.Repeat(`{"a":`, 10_000) + strings.Repeat(`}`, 10_000)} {
		exception, _ := byHand(t, "DescribeImages", []byte(body))
		if exception != "SerializationException" && !(strings.HasPrefix(body, `{"a":{"a"`) && exception == "InvalidParameterException") {
			t.Errorf("%.30q: %s", body, exception)
		}
	}
	if exception, _ := byHand(t, "DescribeImages", []byte(`{"x":"`+strings.Repeat("x", 10<<20)+`"}`)); exception != "RequestEntityTooLargeException" {
		t.Errorf("10 MB: %s", exception)
	}
}

// TestSignatures sends what must not pass for a request of the administrator.
func TestSignatures(t *testing.T) {
	connect(t)
	body := []byte(`{}`)
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		want   []string
	}{
		{"as it is", func(*http.Request) {}, []string{""}},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, []string{"MissingAuthenticationTokenException"}},
		{"a signature that is none", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, []string{"IncompleteSignature"}},
		{"Basic", func(r *http.Request) { r.SetBasicAuth("admin", "conformance") }, []string{"IncompleteSignature", "MissingAuthenticationTokenException"}},
		{"two signatures", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, []string{"IncompleteSignature", "InvalidSignatureException"}},
		{"another body", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{ }`)), 3 }, []string{"InvalidSignatureException"}},
		{"another operation", func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DeleteRegistryPolicy")
		}, []string{"InvalidSignatureException"}},
		{"another query", func(r *http.Request) { r.URL.RawQuery = "a=b" }, []string{"InvalidSignatureException"}},
		{"another host", func(r *http.Request) { r.Host = "elsewhere" }, []string{"InvalidSignatureException"}},
		{"another date", func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(time.Second).UTC().Format("20060102T150405Z"))
		}, []string{"InvalidSignatureException"}},
		{"a header that is not signed", func(r *http.Request) { r.Header.Set("X-Amz-Else", "x") }, []string{"InvalidSignatureException", "IncompleteSignature"}},
	} {
		r := signed(t, target.admin, "DescribeRegistry", body, "ecr", time.Now())
		test.change(r)
		if status, got, message := answerOf(t, r); !slices.Contains(test.want, got) || (got == "") != (status == http.StatusOK) {
			t.Errorf("%s: %d %s %s", test.name, status, got, message)
		}
	}
	for name, r := range map[string]*http.Request{
		"UnrecognizedClientException":     signed(t, key{"AKIAAAAAAAAAAAAAAAAA", "x"}, "DescribeRegistry", body, "ecr", time.Now()),
		"InvalidSignatureException":       signed(t, key{target.admin.ID, "x"}, "DescribeRegistry", body, "ecr", time.Now()),
		"InvalidSignatureException late":  signed(t, target.admin, "DescribeRegistry", body, "ecr", time.Now().Add(-6*time.Minute)),
		"InvalidSignatureException early": signed(t, target.admin, "DescribeRegistry", body, "ecr", time.Now().Add(6*time.Minute)),
		"InvalidSignatureException of S3": signed(t, target.admin, "DescribeRegistry", body, "s3", time.Now()),
		"UnknownOperationException":       signed(t, target.admin, "DropTable", body, "ecr", time.Now()),
	} {
		want, _, _ := strings.Cut(name, " ")
		if _, got, message := answerOf(t, r); got != want {
			t.Errorf("%s: %s %s", name, got, message)
		}
	}
}
